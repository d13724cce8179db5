/*
 * upstream PORT: the model server behind every candidate of the benchmark.
 *
 * Far cheaper than any gateway (one thread, epoll, replies made ahead), so that what is measured is the gateway. Speaks
 * just enough HTTP/1.1 and seven dialects; it is no test double for anything but load.
 *
 *   POST .../chat/completions   OpenAI's reply       streamed when the body has "stream": true
 *   POST .../messages           Anthropic's reply    likewise
 *   POST .../responses, ...:generateContent, .../converse, /v2/chat, /api/chat
 *                               whole replies of OpenAI's Responses, Gemini, Bedrock, Cohere, Ollama; never streamed
 *   POST /pace/DELAY_US/PIECES  how later streams flow: one write every DELAY_US (0: all in one write), PIECES of content
 *   anything else               200 and {}
 *
 * Every piece of streamed content is the text " @@" + 16 digits: the microsecond (CLOCK_MONOTONIC) at which it was sent.
 * The load generator counts these marks and reads from them how late each one arrives.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { IN_BYTES = 65536, PIECE_BYTES = 2048, MAX_PIECES = 1000, EVENTS = 512 };
enum dialect { OPENAI, ANTHROPIC, RESPONSES, GEMINI, BEDROCK, COHERE, OLLAMA, DIALECTS };

struct conn {
    int fd, len;
    enum dialect dialect;
    int with_usage;         /* the request asked for the usage event (OpenAI) */
    int sent, pieces;       /* of the stream under way: writes done, pieces of content in all */
    int64_t due_us, delay_us;
    struct conn *prev, *next; /* in `timers` while a stream is under way, else NULL */
    char in[IN_BYTES];
};

static struct conn timers = {.prev = &timers, .next = &timers}; /* by due_us, soonest first */
static int64_t pace_us = 4000;
static int pace_pieces = 50;
static char whole[DIALECTS][4096];
static int whole_len[DIALECTS];

#define CHUNK_HEAD                                                                                                             \
    "data: {\"id\":\"chatcmpl-AbCdEfGhIjKlMnOpQrSt\",\"object\":\"chat.completion.chunk\",\"created\":1763900000,"                \
    "\"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_0123456789\",\"choices\":"
static const char STREAM_HEAD[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n"
    "x-request-id: req_0123456789abcdef\r\nTransfer-Encoding: chunked\r\n\r\n";
static const char OPENAI_BODY[] =
    "{\"id\":\"chatcmpl-AbCdEfGhIjKlMnOpQrSt\",\"object\":\"chat.completion\",\"created\":1763900000,\"model\":"
    "\"gpt-4o-mini-2024-07-18\",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"%s\",\"refusal\":null,"
    "\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":180,\"completion_tokens\":120,"
    "\"total_tokens\":300,\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},\"completion_tokens_details\":"
    "{\"reasoning_tokens\":0,\"audio_tokens\":0}},\"service_tier\":\"default\",\"system_fingerprint\":\"fp_0123456789\"}";
static const char ANTHROPIC_BODY[] =
    "{\"id\":\"msg_01AbCdEfGhIjKlMnOpQrStUv\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-sonnet-4-5-20250929\","
    "\"content\":[{\"type\":\"text\",\"text\":\"%s\"}],\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":"
    "180,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":120,\"service_tier\":\"standard\"}}";
static const char RESPONSES_BODY[] =
    "{\"id\":\"resp_0123456789abcdef0123456789abcdef\",\"object\":\"response\",\"created_at\":1763900000,\"status\":\"completed\","
    "\"background\":false,\"error\":null,\"incomplete_details\":null,\"instructions\":null,\"max_output_tokens\":512,"
    "\"model\":\"gpt-5-mini-2025-08-07\",\"output\":[{\"id\":\"msg_0123456789abcdef0123456789abcdef\",\"type\":\"message\","
    "\"status\":\"completed\",\"content\":[{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":\"%s\"}],"
    "\"role\":\"assistant\"}],\"parallel_tool_calls\":true,\"previous_response_id\":null,\"reasoning\":{\"effort\":null,"
    "\"summary\":null},\"service_tier\":\"default\",\"store\":false,\"temperature\":0.2,\"text\":{\"format\":{\"type\":\"text\"},"
    "\"verbosity\":\"medium\"},\"tool_choice\":\"auto\",\"tools\":[],\"top_logprobs\":0,\"top_p\":1.0,\"truncation\":\"disabled\","
    "\"usage\":{\"input_tokens\":180,\"input_tokens_details\":{\"cached_tokens\":0},\"output_tokens\":120,"
    "\"output_tokens_details\":{\"reasoning_tokens\":0},\"total_tokens\":300},\"user\":null,\"metadata\":{}}";
static const char GEMINI_BODY[] =
    "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"%s\"}],\"role\":\"model\"},\"finishReason\":\"STOP\",\"index\":0}],"
    "\"usageMetadata\":{\"promptTokenCount\":180,\"candidatesTokenCount\":120,\"totalTokenCount\":300,\"promptTokensDetails\":"
    "[{\"modality\":\"TEXT\",\"tokenCount\":180}]},\"modelVersion\":\"gemini-2.5-flash\",\"responseId\":\"AbCdEfGhIjKlMnOpQr\"}";
static const char BEDROCK_BODY[] =
    "{\"metrics\":{\"latencyMs\":551},\"output\":{\"message\":{\"content\":[{\"text\":\"%s\"}],\"role\":\"assistant\"}},"
    "\"stopReason\":\"end_turn\",\"usage\":{\"inputTokens\":180,\"outputTokens\":120,\"totalTokens\":300}}";
static const char COHERE_BODY[] =
    "{\"id\":\"01234567-89ab-cdef-0123-456789abcdef\",\"message\":{\"role\":\"assistant\",\"content\":[{\"type\":\"text\","
    "\"text\":\"%s\"}]},\"finish_reason\":\"COMPLETE\",\"usage\":{\"billed_units\":{\"input_tokens\":180,\"output_tokens\":120},"
    "\"tokens\":{\"input_tokens\":180,\"output_tokens\":120},\"cached_tokens\":0}}";
static const char OLLAMA_BODY[] =
    "{\"model\":\"llama3.2\",\"created_at\":\"2026-11-23T20:00:00.123456789Z\",\"message\":{\"role\":\"assistant\",\"content\":"
    "\"%s\"},\"done\":true,\"done_reason\":\"stop\",\"total_duration\":551000000,\"load_duration\":1000000,"
    "\"prompt_eval_count\":180,\"prompt_eval_duration\":50000000,\"eval_count\":120,\"eval_duration\":500000000}";
static const struct { const char *path, *body; } WHOLE[DIALECTS] = { /* where each is asked, and what it says; "%s" is the text */
    [OPENAI] = {"/chat/completions ", OPENAI_BODY}, [ANTHROPIC] = {"/messages ", ANTHROPIC_BODY},
    [RESPONSES] = {"/responses ", RESPONSES_BODY},  [GEMINI] = {":generateContent ", GEMINI_BODY},
    [BEDROCK] = {"/converse ", BEDROCK_BODY},       [COHERE] = {"/v2/chat ", COHERE_BODY},
    [OLLAMA] = {"/api/chat ", OLLAMA_BODY},
};

static int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

/* Blocks while the peer does not read: no candidate of a benchmark leaves more unread than a socket's buffer holds. */
static int send_all(int fd, const char *bytes, int len) {
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            struct pollfd p = {.fd = fd, .events = POLLOUT};
            if (poll(&p, 1, 5000) <= 0) return -1;
        } else if (n < 0) {
            return -1;
        } else {
            bytes += n, len -= n;
        }
    }
    return 0;
}

static void make_whole_replies(void) {
    char content[600] = "", body[3072];
    for (int i = 0; i < 60; i++) strcat(content, "lorem ip ");
    for (int d = 0; d < DIALECTS; d++) {
        int len = snprintf(body, sizeof body, WHOLE[d].body, content);
        whole_len[d] = snprintf(whole[d], sizeof whole[d],
                                "HTTP/1.1 200 OK\r\nDate: Mon, 23 Nov 2026 20:00:00 GMT\r\nContent-Type: application/json\r\n"
                                "x-request-id: req_0123456789abcdef\r\nx-ratelimit-remaining-requests: 9999\r\n"
                                "openai-processing-ms: 12\r\nContent-Length: %d\r\n\r\n%s",
                                len, body);
    }
}

static int openai_piece(const struct conn *c, char *out) {
    if (c->sent == 0)
        return sprintf(out, CHUNK_HEAD "[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},"
                                       "\"logprobs\":null,\"finish_reason\":null}]}\n\n");
    if (c->sent <= c->pieces)
        return sprintf(out, CHUNK_HEAD "[{\"index\":0,\"delta\":{\"content\":\" @@%016lld\"},\"logprobs\":null,"
                                       "\"finish_reason\":null}]}\n\n", (long long)now_us());
    int len = sprintf(out, CHUNK_HEAD "[{\"index\":0,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"stop\"}]}\n\n");
    if (c->with_usage)
        len += sprintf(out + len, CHUNK_HEAD "[],\"usage\":{\"prompt_tokens\":180,\"completion_tokens\":%d,\"total_tokens\":%d,"
                                             "\"prompt_tokens_details\":{\"cached_tokens\":0}}}\n\n",
                       c->pieces, 180 + c->pieces);
    return len + sprintf(out + len, "data: [DONE]\n\n");
}

static int anthropic_piece(const struct conn *c, char *out) {
    if (c->sent == 0)
        return sprintf(out, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":"
                            "\"msg_01AbCdEfGhIjKlMnOpQrStUv\",\"type\":\"message\",\"role\":\"assistant\",\"model\":"
                            "\"claude-sonnet-4-5-20250929\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":"
                            "{\"input_tokens\":180,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,"
                            "\"output_tokens\":1}}}\n\nevent: content_block_start\ndata: {\"type\":\"content_block_start\","
                            "\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n");
    if (c->sent <= c->pieces)
        return sprintf(out, "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":"
                            "{\"type\":\"text_delta\",\"text\":\" @@%016lld\"}}\n\n", (long long)now_us());
    return sprintf(out, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n"
                        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\","
                        "\"stop_sequence\":null},\"usage\":{\"output_tokens\":%d}}\n\n"
                        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", c->pieces);
}

/* The stream's next write as one HTTP chunk: the opening events, a piece of content, or the closing events. */
static int next_write(struct conn *c, char *out) {
    char events[PIECE_BYTES];
    int len = c->dialect == OPENAI ? openai_piece(c, events) : anthropic_piece(c, events);
    int n = sprintf(out, "%x\r\n", len);
    memcpy(out + n, events, len);
    n += len;
    n += sprintf(out + n, c->sent++ > c->pieces ? "\r\n0\r\n\r\n" : "\r\n");
    return n;
}

static int streaming(const struct conn *c) { return c->sent <= c->pieces + 1; }

static void schedule(struct conn *c) { /* from the back: equal delays arrive in order */
    struct conn *at = timers.prev;
    while (at != &timers && at->due_us > c->due_us) at = at->prev;
    c->prev = at, c->next = at->next;
    at->next->prev = c, at->next = c;
}

static void unschedule(struct conn *c) {
    if (!c->next) return;
    c->prev->next = c->next, c->next->prev = c->prev;
    c->prev = c->next = NULL;
}

static int start_stream(struct conn *c) {
    char out[sizeof STREAM_HEAD + PIECE_BYTES], *all = out;
    c->sent = 0, c->pieces = pace_pieces, c->delay_us = pace_us;
    if (c->delay_us == 0) all = malloc(sizeof STREAM_HEAD + (size_t)PIECE_BYTES * (c->pieces + 2));
    int n = sprintf(all, "%s", STREAM_HEAD);
    do n += next_write(c, all + n);
    while (c->delay_us == 0 && streaming(c));
    int failed = send_all(c->fd, all, n);
    if (all != out) free(all);
    if (!failed && streaming(c)) {
        c->due_us = now_us() + c->delay_us;
        schedule(c);
    }
    return failed;
}

static int has_true(const char *body, int len, const char *name) {
    const char *at = memmem(body, len, name, strlen(name));
    if (!at) return 0;
    for (at += strlen(name); at < body + len && (*at == ':' || *at == ' '); at++) {}
    return at < body + len && *at == 't';
}

static int answer(struct conn *c, const char *head, int head_len, const char *body, int body_len) {
    const char *line_end = memchr(head, '\r', head_len);
    int line = line_end ? (int)(line_end - head) : head_len;
    long long delay = 0;
    int pieces = 0;
    if (sscanf(head, "POST /pace/%lld/%d", &delay, &pieces) == 2 && delay >= 0 && pieces > 0 && pieces <= MAX_PIECES)
        pace_us = delay, pace_pieces = pieces;
    else
        for (int d = 0; line && d < DIALECTS; d++)
            if (memmem(head, line, WHOLE[d].path, strlen(WHOLE[d].path))) c->dialect = d, line = 0;
    if (line) { /* no dialect's path */
        static const char ok[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}";
        return send_all(c->fd, ok, sizeof ok - 1);
    }
    if (c->dialect > ANTHROPIC || !has_true(body, body_len, "\"stream\"")) return send_all(c->fd, whole[c->dialect], whole_len[c->dialect]);
    c->with_usage = has_true(body, body_len, "\"include_usage\"");
    return start_stream(c);
}

/* The bytes of the first whole request in `in`, and where its body lies; 0 when more must come. */
static int request_length(struct conn *c, int *head_len, int *body_len) {
    c->in[c->len] = 0;
    char *end = memmem(c->in, c->len, "\r\n\r\n", 4);
    if (!end) return 0;
    *head_len = (int)(end - c->in) + 4;
    end[2] = 0; /* header searches stop here; restored below */
    const char *length = strcasestr(c->in, "\ncontent-length:"), *chunked = strcasestr(c->in, "\ntransfer-encoding:");
    end[2] = '\r';
    if (!chunked) {
        *body_len = length ? atoi(length + 16) : 0;
        return c->len >= *head_len + *body_len ? *head_len + *body_len : 0;
    }
    char *last = memmem(c->in + *head_len, c->len - *head_len, "0\r\n\r\n", 5);
    if (!last) return 0;
    *body_len = (int)(last - c->in) - *head_len;
    return *head_len + *body_len + 5;
}

static int serve_buffered(struct conn *c) {
    int head_len, body_len, total;
    while (!c->next && (total = request_length(c, &head_len, &body_len)) > 0) {
        int failed = answer(c, c->in, head_len, c->in + head_len, body_len);
        memmove(c->in, c->in + total, c->len - total);
        c->len -= total;
        if (failed) return -1;
    }
    return 0;
}

static void drop(struct conn *c) {
    unschedule(c);
    close(c->fd);
    free(c);
}

static int64_t run_due(void) { /* returns the microseconds until the next one, at most a second */
    for (int64_t now = now_us(); timers.next != &timers; now = now_us()) {
        struct conn *c = timers.next;
        if (c->due_us > now) return c->due_us - now < 1000000 ? c->due_us - now : 1000000;
        char out[PIECE_BYTES + 32];
        unschedule(c);
        if (send_all(c->fd, out, next_write(c, out))) {
            drop(c);
        } else if (streaming(c)) {
            c->due_us += c->delay_us;
            schedule(c);
        } else if (serve_buffered(c)) {
            drop(c);
        }
    }
    return 1000000;
}

static void accept_all(int listener, int poller) {
    for (int fd, one = 1; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        struct conn *c = malloc(sizeof *c);
        memset(c, 0, offsetof(struct conn, in));
        c->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        epoll_ctl(poller, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = c});
    }
}

static void read_from(struct conn *c) {
    ssize_t n = recv(c->fd, c->in + c->len, IN_BYTES - 1 - c->len, 0);
    if (n < 0 && errno == EAGAIN) return;
    c->len += n > 0 ? (int)n : 0;
    if (n <= 0 || serve_buffered(c) || c->len >= IN_BYTES - 1) drop(c);
}

int main(int argc, char **argv) {
    int port = argc == 2 ? atoi(argv[1]) : 0, one = 1;
    if (port <= 0) return fprintf(stderr, "usage: upstream PORT\n"), 2;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);
    make_whole_replies();

    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), poller = epoll_create1(0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 4096)) return perror("upstream: bind"), 1;
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &(struct epoll_event){.events = EPOLLIN, .data.ptr = NULL});

    for (struct epoll_event events[EVENTS];;) {
        int64_t wait_us = run_due();
        struct timespec wait = {.tv_sec = wait_us / 1000000, .tv_nsec = wait_us % 1000000 * 1000};
        int n = epoll_pwait2(poller, events, EVENTS, &wait, NULL);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr) read_from(events[i].data.ptr);
            else accept_all(listener, poller);
        }
    }
}
