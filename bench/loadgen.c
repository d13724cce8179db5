/*
 * loadgen [-c CONNS] [-t SECONDS] [-r RATE] [-w RAMP_S] PORT REQUEST_FILE: the client side of the benchmark.
 *
 * Sends the file's bytes (one whole HTTP/1.1 request) over and over to 127.0.0.1:PORT, reads every reply to its end and
 * prints one JSON object. Without -r a closed loop: each connection asks again as soon as it is answered. With -r an open
 * loop of RATE requests a second, latency counted from the moment a request was due (no coordinated omission). After
 * SECONDS no request starts; those under way are read to their end (30 s at most), so work paid for is work counted.
 * Times are microseconds. `piece` is the delay of each mark "@@" + 16 digits that the upstream wrote (see upstream.c).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEAD_BYTES = 8192, READ_BYTES = 262144, EVENTS = 512, GRACE_US = 30000000, MARK_DIGITS = 16 };
enum state { HEAD, SIZED, UNTIL_CLOSE, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER };

struct conn {
    int fd, busy, closing, status;
    enum state state;
    int64_t due_us, first_us, left;
    int head_len, line_len, mark_len;
    int64_t mark;
    char head[HEAD_BYTES];
};

struct samples { int32_t *at; size_t len, room; };

static struct samples latency, first_byte, piece;
static long sent, ok, refused, broken, in_window, first_refusal;
static long long bytes_read;
static char *request;
static int request_len, port, poller, busy;
static struct conn **idle;
static int idle_len;

static int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000LL + t.tv_nsec / 1000;
}

static void add(struct samples *s, int64_t value) {
    if (s->len == s->room) s->at = realloc(s->at, sizeof *s->at * (s->room = s->room ? s->room * 2 : 65536));
    s->at[s->len++] = (int32_t)value;
}

static int ascending(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static void print_samples(const char *name, struct samples *s) {
    printf(",\"%s\":{\"n\":%zu", name, s->len);
    if (s->len) {
        qsort(s->at, s->len, sizeof *s->at, ascending);
        printf(",\"p50\":%d,\"p90\":%d,\"p99\":%d,\"max\":%d", s->at[s->len / 2], s->at[s->len * 9 / 10],
               s->at[s->len * 99 / 100], s->at[s->len - 1]);
    }
    printf("}");
}

static void connect_to(struct conn *c) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&at, sizeof at)) {
        perror("loadgen: connect");
        exit(1);
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &(struct epoll_event){.events = EPOLLIN, .data.ptr = c});
}

static void reconnect(struct conn *c) {
    close(c->fd);
    connect_to(c);
}

static void fire(struct conn *c, int64_t due_us) {
    c->busy = 1, c->closing = 0, c->state = HEAD, c->due_us = due_us, c->first_us = 0;
    c->head_len = c->line_len = c->mark_len = 0;
    busy++, sent++;
    for (int done = 0; done < request_len;) {
        ssize_t n = send(c->fd, request + done, request_len - done, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) return; /* the read side will see the reset and count it */
        if (n < 0) poll(&(struct pollfd){.fd = c->fd, .events = POLLOUT}, 1, 1000);
        else done += (int)n;
    }
}

/* Marks may be cut anywhere, hence one state per connection and a byte at a time once an '@' is seen. */
static void scan_marks(struct conn *c, const char *p, const char *end, int64_t now) {
    while (p < end) {
        if (c->mark_len == 0) {
            if (!(p = memchr(p, '@', end - p))) return;
            c->mark_len = 1, c->mark = 0, p++;
        } else if (c->mark_len == 1) {
            c->mark_len = *p++ == '@' ? 2 : 0;
        } else if (*p < '0' || *p > '9') {
            c->mark_len = 0;
        } else {
            c->mark = c->mark * 10 + (*p++ - '0');
            if (++c->mark_len == 2 + MARK_DIGITS) add(&piece, now - c->mark), c->mark_len = 0;
        }
    }
}

static const char *read_head(struct conn *c, const char *p, const char *end) {
    int before = c->head_len, room = HEAD_BYTES - 1 - before, n = end - p < room ? (int)(end - p) : room;
    memcpy(c->head + before, p, n);
    c->head_len += n;
    c->head[c->head_len] = 0;
    char *blank = memmem(c->head, c->head_len, "\r\n\r\n", 4);
    if (!blank) {
        if (n < end - p) c->closing = 1, c->state = UNTIL_CLOSE, c->status = 0; /* a head over 8 KiB: counted as refused */
        return end;
    }
    blank[2] = 0;
    c->status = atoi(c->head + 9);
    c->closing = strcasestr(c->head, "\nconnection: close") != NULL;
    const char *length = strcasestr(c->head, "\ncontent-length:");
    if (strcasestr(c->head, "\ntransfer-encoding: chunked")) c->state = CHUNK_SIZE;
    else if (length) c->state = SIZED, c->left = atoll(length + 16);
    else c->state = UNTIL_CLOSE;
    return p + (blank + 4 - c->head - before);
}

/* Feeds the reply's bytes; 1 when it has ended. */
static int feed(struct conn *c, const char *p, const char *end, int64_t now) {
    while (p < end) {
        if (c->state == HEAD) {
            p = read_head(c, p, end);
            if (c->state != HEAD && !c->first_us) c->first_us = now;
            if (c->state == SIZED && c->left == 0) return 1;
        } else if (c->state == SIZED || c->state == CHUNK_DATA) {
            int64_t n = end - p < c->left ? end - p : c->left;
            scan_marks(c, p, p + n, now);
            p += n, c->left -= n;
            if (c->left == 0 && c->state == SIZED) return 1;
            if (c->left == 0) c->state = CHUNK_END;
        } else if (c->state == UNTIL_CLOSE) {
            scan_marks(c, p, end, now);
            p = end;
        } else if (c->state == CHUNK_SIZE && *p != '\n') {
            c->head[c->line_len++ % 32] = *p++; /* the head is done with: its room holds the size line */
        } else if (c->state == CHUNK_SIZE) {
            c->head[c->line_len % 32] = 0, c->line_len = 0, p++;
            c->left = strtoll(c->head, NULL, 16);
            c->state = c->left ? CHUNK_DATA : TRAILER;
        } else if (c->state == CHUNK_END) {
            if (*p++ == '\n') c->state = CHUNK_SIZE;
        } else { /* TRAILER: lines up to an empty one */
            if (*p == '\n' && c->line_len == 0) return 1;
            if (*p != '\r') c->line_len = *p != '\n';
            p++;
        }
    }
    return 0;
}

static void finish(struct conn *c, int64_t now, int64_t end_us) {
    c->busy = 0, busy--;
    if (c->status == 200) {
        ok++, in_window += now <= end_us;
        add(&latency, now - c->due_us);
        add(&first_byte, c->first_us - c->due_us);
    } else if (!refused++) {
        first_refusal = c->status;
    }
    if (c->closing) reconnect(c);
}

static int parse_arguments(int argc, char **argv, int *conns, double *seconds, double *rate, double *ramp) {
    for (int option; (option = getopt(argc, argv, "c:t:r:w:")) != -1;) {
        if (option == 'c') *conns = atoi(optarg);
        else if (option == 't') *seconds = atof(optarg);
        else if (option == 'r') *rate = atof(optarg);
        else if (option == 'w') *ramp = atof(optarg);
        else return -1;
    }
    if (argc - optind != 2 || *conns < 1 || *seconds <= 0) return -1;
    port = atoi(argv[optind]);
    FILE *file = fopen(argv[optind + 1], "rb");
    if (!file) return perror(argv[optind + 1]), -1;
    request = malloc(1 << 20);
    request_len = (int)fread(request, 1, 1 << 20, file);
    fclose(file);
    return port > 0 && request_len > 0 ? 0 : -1;
}

int main(int argc, char **argv) {
    int conns = 32, started = 0;
    double seconds = 4, rate = 0, ramp = 0;
    if (parse_arguments(argc, argv, &conns, &seconds, &rate, &ramp))
        return fprintf(stderr, "usage: loadgen [-c CONNS] [-t SECONDS] [-r RATE] [-w RAMP_S] PORT REQUEST_FILE\n"), 2;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    signal(SIGPIPE, SIG_IGN);

    static char buffer[READ_BYTES];
    poller = epoll_create1(0);
    idle = malloc(sizeof *idle * conns);
    struct conn *all = calloc(conns, sizeof *all);
    for (int i = 0; i < conns; i++) connect_to(&all[i]), idle[idle_len++] = &all[i];

    int64_t begin_us = now_us(), end_us = begin_us + (int64_t)(seconds * 1e6), now = begin_us;
    double next_us = begin_us; /* -r: when the next request is due */
    for (struct epoll_event events[EVENTS]; now < end_us || (busy && now < end_us + GRACE_US); now = now_us()) {
        if (rate > 0) {
            for (; now < end_us && next_us <= now && idle_len; next_us += 1e6 / rate) fire(idle[--idle_len], (int64_t)next_us);
        } else if (started < conns && now < end_us) {
            int want = ramp > 0 ? 1 + (int)((now - begin_us) / (ramp * 1e6) * conns) : conns;
            for (; started < conns && started < want; started++) fire(idle[--idle_len], now);
        }
        double wait_us = now >= end_us ? 20000 : end_us - now;
        if (rate > 0 && idle_len && now < end_us && next_us - now < wait_us) wait_us = next_us > now ? next_us - now : 0;
        if (rate == 0 && started < conns && wait_us > 1000) wait_us = 1000;
        struct timespec wait = {.tv_sec = (time_t)(wait_us / 1e6), .tv_nsec = (long)((int64_t)wait_us % 1000000 * 1000)};
        int n = epoll_pwait2(poller, events, EVENTS, &wait, NULL);
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            ssize_t got = recv(c->fd, buffer, sizeof buffer, 0);
            if (got < 0 && errno == EAGAIN) continue;
            now = now_us();
            int was_busy = c->busy, ended = 0;
            bytes_read += got > 0 ? got : 0;
            if (got > 0) {
                ended = was_busy && feed(c, buffer, buffer + got, now);
            } else if (was_busy && c->state == UNTIL_CLOSE) {
                ended = c->closing = 1;
            } else {
                reconnect(c);
                if (was_busy) broken++, busy--, c->busy = 0;
            }
            if (ended) finish(c, now, end_us);
            if (!was_busy || c->busy) continue;
            if (rate == 0 && now < end_us) fire(c, now);
            else idle[idle_len++] = c;
        }
    }
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    printf("{\"sent\":%ld,\"ok\":%ld,\"refused\":%ld,\"first_refusal\":%ld,\"broken\":%ld,\"unfinished\":%d,\"seconds\":%.3f,"
           "\"per_second\":%.1f,\"bytes\":%lld,\"cpu_seconds\":%.3f",
           sent, ok, refused, first_refusal, broken, busy, seconds, in_window / seconds, bytes_read,
           used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
    print_samples("latency", &latency);
    print_samples("first_byte", &first_byte);
    print_samples("piece", &piece);
    printf("}\n");
    return 0;
}
