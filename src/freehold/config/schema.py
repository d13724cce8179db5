"""What users write in freehold.yaml, as structs. Field names here are the file's own; unknown ones are errors."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct, field

Zone = Literal["internal", "external"]
Strategy = Literal["priority", "weighted", "fastest", "cheapest", "least_busy"]
Sticky = Literal["session", "user", "prompt"]
Seconds = Annotated[float, Meta(gt=0, le=86_400)]
Days = Annotated[int, Meta(ge=1, le=100_000)]
Usd = Annotated[float, Meta(ge=0)]
Role = Literal["owner", "admin", "member", "viewer", "auditor"]
Secret = Annotated[str, Meta(extra={"secret": True})]  # may be a reference (references.py)

_SECRETS = frozenset({"api_key", "key", "headers", "query", "secret_access_key", "session_token", "client_secret"})


class Strict(Struct, kw_only=True, forbid_unknown_fields=True):
    def __repr__(self) -> str:
        """Without the secrets: a struct may end up in a traceback or in a test's output."""
        fields = ((name, getattr(self, name)) for name in self.__struct_fields__)
        shown = (f"{name}={'...' if name in _SECRETS and value else repr(value)}" for name, value in fields)
        return f"{type(self).__name__}({', '.join(shown)})"


class TimeoutsConfig(Strict):
    """How long to wait for a provider, in seconds."""

    connect: Seconds = 5.0  # to open a connection, TLS included
    first_byte: Seconds = 300.0  # from the request sent until the reply's head is there
    idle: Seconds = 120.0  # each silence after that


class PriceConfig(Strict):
    """US dollars: per million tokens, but for the fields that begin with `per_`. Replaces the price table for one target.

    What has no price here is not billed, and a call without any that fits has no cost in the record. Give at least one.
    """

    input: Usd | None = None  # prompt tokens
    output: Usd | None = None  # generated tokens
    cache_read: Usd | None = None  # prompt tokens read from the provider's cache; unset: as `input`
    cache_write: Usd | None = None  # prompt tokens written to it; unset: as `input`
    audio_input: Usd | None = None  # prompt tokens that are sound; unset: as `input`
    audio_output: Usd | None = None  # generated tokens that are sound; unset: as `output`
    image_input: Usd | None = None  # prompt tokens that are pictures; unset: as `input`
    image_output: Usd | None = None  # generated tokens that are pictures; unset: as `output`
    per_minute: Usd | None = None  # minutes of audio, where the provider tells its seconds
    per_million_characters: Usd | None = None  # characters to be spoken
    per_image: Usd | None = None  # pictures made, whatever their size
    per_thousand_searches: Usd | None = None  # search units of a rerank
    per_thousand_requests: Usd | None = None  # calls, on top of all else


class CredentialConfig(Strict):
    """A cloud's own credential, in place of `api_key`. What is not written here is looked for where the cloud's tools look."""

    type: Literal["aws", "google", "azure", "ibm"]  # whose; each of the other fields belongs to one type
    access_key_id: str | None = None  # aws: a fixed key, with `secret_access_key`
    secret_access_key: Secret | None = None  # aws: give it by a variable or a reference
    session_token: Secret | None = None  # aws: where the fixed key is a temporary one
    profile: str | None = None  # aws: section of the shared credentials file
    role_arn: str | None = None  # aws: role taken with the web identity token; unset: AWS_ROLE_ARN
    web_identity_token_file: str | None = None  # aws: unset: AWS_WEB_IDENTITY_TOKEN_FILE
    file: str | None = None  # google: JSON file of a service account or of application default credentials
    tenant_id: str | None = None  # azure: unset: AZURE_TENANT_ID
    client_id: str | None = None  # azure: an application, or a user-assigned managed identity; unset: AZURE_CLIENT_ID
    client_secret: Secret | None = None  # azure: the application's secret; unset: AZURE_CLIENT_SECRET
    api_key: Secret | None = None  # ibm: exchanged for tokens; unset: WATSONX_APIKEY, WATSONX_API_KEY or IBM_CLOUD_API_KEY
    scope: str | None = None  # azure: what the token is for; unset: Azure's AI services


class ProviderConfig(Strict):
    """Overrides of a known provider's row, or a provider of your own (then `dialect` and `base_url` are required)."""

    enabled: bool = True  # false: never used, not even when its key is in the environment
    dialect: str | None = None  # the API it speaks, such as openai_chat or anthropic
    base_url: str | None = None  # what stands before /chat/completions or /v1/messages; may hold {region} and the like
    also: dict[str, str] | None = None  # more dialects it speaks, each with its base: "" the same, /path, or a URL
    api_key: Secret | None = None  # our credential there; unset: from the known provider's environment variable
    credential: CredentialConfig | None = None  # a cloud's credential in place of an api_key
    region: str | None = None  # for {region} in the base URL
    project: str | None = None  # for {project}
    resource: str | None = None  # for {resource}
    account: str | None = None  # for {account}
    query: dict[str, Secret] = field(default_factory=dict)  # parameters after ? in every call, such as api-version
    zone: Zone | None = None  # internal: runs under your own control
    headers: dict[str, Secret] = field(default_factory=dict)  # sent with every request
    timeouts: TimeoutsConfig = field(default_factory=TimeoutsConfig)  # how long to wait for it
    max_connections: Annotated[int, Meta(ge=1)] | None = None  # of one worker to it; unset: as server.max_connections
    ca_file: str | None = None  # PEM file of the authorities trusted for it, in place of the system's
    models: list[str] = field(default_factory=list)  # names to show in /v1/models beyond the known ones
    price: PriceConfig | None = None  # for models that the price table does not know


class TargetConfig(Strict):
    """One place a request can be sent to."""

    provider: str  # a name under `providers`, or one that Freehold knows
    model: str  # the model's name there
    price: PriceConfig | None = None  # in place of the price table's
    weight: Annotated[float, Meta(ge=0, le=1_000_000)] = 1.0  # its share with weighted and least_busy; 0: only when no other can


class RouteConfig(Strict):
    """A model name that clients ask for."""

    targets: Annotated[list[TargetConfig], Meta(min_length=1)]  # where its calls may go
    strategy: Strategy = "priority"  # which target comes first: as they are written, by weight, the fastest, the cheapest, ...
    sticky: Sticky | None = None  # what stays at one healthy target: a session, an end user, prompts that begin alike
    fallbacks: list[str] = field(default_factory=list)  # routes whose targets are tried when all of its own have failed
    retries: Annotated[int, Meta(ge=0, le=5)] = 1  # how often each target is tried again before the next


class KeyConfig(Strict):
    """A key that clients call with."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]  # shown in the record of calls; unique
    key: Secret  # at least 16 characters: give it by a variable or a reference
    models: list[str] = field(default_factory=lambda: ["*"])  # routes, provider/model, or patterns with `*`


class SecretsConfig(Strict):
    """Secrets that the file names by reference. Those in files are read again when the file changes."""

    refresh: Annotated[float, Meta(ge=1, le=86_400)] = 300.0  # seconds after which secrets from Vault are read again


class AdminConfig(Strict):
    """What administrators of workspaces may do."""

    private_networks: bool = False  # providers at addresses of this machine and its networks; else the public internet only


class RoleConfig(Strict):
    """A role in a workspace."""

    role: Role  # what the group's people may do there
    workspace: str = "default"  # the workspace's id


class OidcConfig(Strict):
    """An identity provider that people sign in with (OpenID Connect)."""

    name: str  # shown to people, and part of the redirect URI
    issuer: str  # as the provider writes it in its tokens
    client_id: str  # as the provider knows this Freehold
    client_secret: str | None = None  # a variable, file:/run/secrets/x or vault:path#field; unset: a public client
    scopes: list[str] = field(default_factory=lambda: ["openid", "email", "profile"])  # what is asked for
    groups_claim: str = "groups"  # the claim with the names or ids of a person's groups
    roles: dict[str, Role | RoleConfig] = field(default_factory=dict)  # by group; at each sign-in the person's role follows it
    allow_sign_up: bool = False  # people whom Freehold does not know yet may come in, with the role that they get here
    default_role: Role | None = None  # in workspace "default", for people none of whose groups has a role; unset: they stay out
    domains: list[str] = field(default_factory=list)  # of the mail addresses that it may vouch for; none: all
    trust_email: bool = False  # its addresses count as verified where it says nothing of that
    logout: bool = False  # signing out of Freehold leads to signing out there


class ScimConfig(Strict):
    """What provisioning (SCIM) may give. A token is of one workspace, and only roles there count."""

    roles: dict[str, Role | RoleConfig] = field(default_factory=dict)  # by the group's name there
    default_role: Role = "member"  # of people none of whose groups has a role


class SignInConfig(Strict):
    """How administrators come in. Times in seconds."""

    url: str | None = None  # where browsers find the admin API, such as https://freehold.example.com; unset: as they ask for it
    idle_timeout: Seconds = 7200.0  # a session that is not used for so long ends
    session_lifetime: Annotated[float, Meta(gt=0, le=31_536_000)] = 86_400.0  # at most, whatever it is used for
    oidc: list[OidcConfig] = field(default_factory=list)  # identity providers
    scim: ScimConfig = field(default_factory=ScimConfig)  # provisioning


class AuditConfig(Strict):
    """Where the audit log goes beside the database."""

    syslog: str | None = None  # udp://HOST:PORT or tcp://HOST:PORT of a syslog server (RFC 5424)


class ServerConfig(Strict):
    """How clients are served. Times in seconds. Changes count from the next start."""

    max_body_mib: Annotated[float, Meta(gt=0, le=1024)] = 32  # largest request body, in MiB
    max_upload_mib: Annotated[float, Meta(gt=0, le=1_048_576)] = 512  # largest file or form that is passed on as it comes, in MiB
    max_connections: Annotated[int, Meta(ge=1)] = 10_000  # client connections of one worker; more are answered 503
    header_timeout: Seconds = 10.0  # for a request's head to arrive
    body_timeout: Seconds = 60.0  # between two pieces of a request body; for all of it up to 64 KB
    idle_timeout: Seconds = 75.0  # a kept-alive connection without a request
    send_timeout: Seconds = 300.0  # a client that takes no byte of its reply
    drain_timeout: Seconds = 30.0  # for calls under way when the gateway is told to stop
    trusted_proxies: list[str] = field(default_factory=list)  # networks whose X-Forwarded-For is believed, such as 10.0.0.0/8
    tls_cert: str | None = None  # PEM file with the certificate chain; with `tls_key`, serves https
    tls_key: str | None = None  # PEM file with its private key


class RetentionConfig(Strict):
    """How long the record of calls is kept, in days of 24 hours, counted in whole UTC days. Sums by day are kept for good."""

    calls_days: Days | None = 90  # each single call; null: for good
    hours_days: Days | None = 400  # sums by hour; null: for good


class Config(Strict):
    """The whole file."""

    discover: bool = True  # also use providers whose keys are in the environment and servers that answer on this machine
    providers: dict[str, ProviderConfig] = field(default_factory=dict)  # by name; clients ask for provider/model
    routes: dict[str, RouteConfig] = field(default_factory=dict)  # by the model name that clients ask for
    keys: list[KeyConfig] = field(default_factory=list)  # beside those made by `freehold key create`
    server: ServerConfig = field(default_factory=ServerConfig)  # how clients are served
    admin: AdminConfig = field(default_factory=AdminConfig)  # the admin API
    sign_in: SignInConfig = field(default_factory=SignInConfig)  # how administrators come in
    audit: AuditConfig = field(default_factory=AuditConfig)  # the record of administrative acts
    retention: RetentionConfig = field(default_factory=RetentionConfig)  # how long the record of calls is kept
    secrets: SecretsConfig = field(default_factory=SecretsConfig)  # those that are kept elsewhere
