package failure

// An Entry is one row of the catalogue.
type Entry struct {
	Code    Code
	Hop     Hop
	Retry   Retry
	Summary string // one line, lower case, no full stop; {target} {host} {port} {location} are filled in
	Advice  string // what to do, most likely cause first; the last sentence is the next step
	Client  string // what the application's connection sees
}

// The codes, in the order of the hops.
const (
	ConfigInvalid     Code = "config_invalid"
	BootstrapMissing  Code = "bootstrap_missing"
	BindingMissing    Code = "binding_missing"
	BindingUnknown    Code = "binding_unknown"
	BindingAmbiguous  Code = "binding_ambiguous"
	BindingMalformed  Code = "binding_malformed"
	BindingCredhubRef Code = "binding_credhub_ref"

	PortTaken          Code = "port_taken"
	NoPort             Code = "no_port"
	AdvertisedLoopback Code = "advertised_loopback"
	UnmappedAddress    Code = "unmapped_address"
	NodeUnknown        Code = "node_unknown"
	Internal           Code = "internal"

	TLSOnPlainPort         Code = "tls_on_plain_port"
	HTTPOnKafkaPort        Code = "http_on_kafka_port"
	NotKafka               Code = "not_kafka"
	BadFrame               Code = "bad_frame"
	RequestTooLarge        Code = "request_too_large"
	VersionTooNew          Code = "version_too_new"
	ClientStalled          Code = "client_stalled"
	ClientReset            Code = "client_reset"
	ClientGone             Code = "client_gone"
	ControllersUnsupported Code = "controllers_not_supported"

	TokenUnreachable Code = "token_unreachable"
	TokenTimeout     Code = "token_timeout"
	TokenStatus      Code = "token_status"
	TokenRateLimited Code = "token_rate_limited"
	TokenRejected    Code = "token_rejected"
	TokenMalformed   Code = "token_malformed"

	ProxyUnresolvable   Code = "proxy_unresolvable"
	ProxyUnreachable    Code = "proxy_unreachable"
	ProxySilent         Code = "proxy_silent"
	ProxyProtocol       Code = "proxy_protocol"
	ProxyMethodRefused  Code = "proxy_method_refused"
	ProxyAuthRefused    Code = "proxy_auth_refused"
	ProxyGeneralFailure Code = "proxy_general_failure"
	CommandRefused      Code = "command_refused"
	AddressUnsupported  Code = "address_unsupported"

	ConnectorAway      Code = "connector_away"
	ConnectSilent      Code = "connect_silent"
	AccessNotAllowed   Code = "access_not_allowed"
	BrokerUnreachable  Code = "broker_unreachable"
	BrokerStalled      Code = "broker_stalled"
	BrokerReset        Code = "broker_reset"
	UnexpectedResponse Code = "unexpected_response"
	ResponseMalformed  Code = "response_malformed"
	ResponseTooLarge   Code = "response_too_large"
)

const (
	held       = "held until it heals or the hold time ends, then closed"
	closed     = "closed"
	closedOnce = "closed at once, so that the client turns to another broker"
	noStart    = "the tunnel does not start"
)

//go:generate go run ./docs ../../docs/failures.md

// catalogue is the table. It is the only place where these words stand.
var catalogue = []Entry{
	{ConfigInvalid, HopConfig, RetryNever,
		"the configuration is wrong",
		"Each line above names a key, where its value came from and what is allowed. Correct them and start again; `kafka-tunnel config` shows what is in effect.", noStart},
	{BootstrapMissing, HopConfig, RetryNever,
		"no bootstrap address is configured",
		"Set KAFKA_TUNNEL_BOOTSTRAP to the virtual hosts and ports that the Cloud Connector exposes for the Kafka brokers, for example kafka-1.corp:9092,kafka-2.corp:9092.", noStart},
	{BindingMissing, HopConfig, RetryNever,
		"no connectivity service is bound to this application",
		"Create an instance (cf create-service connectivity lite my-connectivity), bind it (cf bind-service APP my-connectivity) and restage the application.", noStart},
	{BindingUnknown, HopConfig, RetryNever,
		"no connectivity service of the chosen name is bound",
		"Set KAFKA_TUNNEL_CONNECTIVITY_SERVICE to the name of a bound instance, or leave it out when there is only one.", noStart},
	{BindingAmbiguous, HopConfig, RetryNever,
		"several connectivity services are bound and none is chosen",
		"Set KAFKA_TUNNEL_CONNECTIVITY_SERVICE to the name of the one to use.", noStart},
	{BindingMalformed, HopConfig, RetryNever,
		"the service binding in {target} cannot be used",
		"The binding lacks what the tunnel needs or is not valid JSON. Bind the service again (cf unbind-service, cf bind-service) and restage; compare with `cf env APP`.", noStart},
	{BindingCredhubRef, HopConfig, RetryNever,
		"the credentials in {target} are only a reference to CredHub",
		"The platform resolves credhub-ref only in the VCAP_SERVICES variable. Turn off file-based-vcap-services for this application and push it again.", noStart},

	{PortTaken, HopLocal, RetryNever,
		"the local address {target} is taken",
		"Another process listens there. On Cloud Foundry an old sidecar of another name may still hold it, because a manifest never removes sidecars: list them with cf curl /v3/apps/GUID/sidecars and delete the old one, or change the tunnel's port.", noStart},
	{NoPort, HopLocal, RetryNever,
		"no local port is left for broker {target}",
		"The range broker_ports is smaller than the number of brokers. Make it larger (KAFKA_TUNNEL_BROKER_PORTS=19100-19299) and restart.",
		"the broker is left out of responses"},
	{AdvertisedLoopback, HopLocal, RetryNever,
		"the broker advertises {target}, which would be this container and not the broker",
		"Add an address_map rule that says which virtual host of the Cloud Connector stands for it: {from: \"{target}\", to: \"VIRTUAL-HOST:PORT\"}.",
		"the broker is left out of responses"},
	{UnmappedAddress, HopLocal, RetryNever,
		"the broker address {target} has no local port",
		"The address was hidden from the client, because it would lead nowhere. Check `kafka-tunnel status` for the node and its last failure.",
		"the broker is left out of responses"},
	{NodeUnknown, HopLocal, RetryNever,
		"nobody has said yet which broker belongs to local port {target}",
		"A client connected to a broker port before any client had asked for metadata. Start clients at the bootstrap address.", held},
	{Internal, HopLocal, RetryNever,
		"the tunnel met an error of its own",
		"Report this with the log lines around it.", closed},

	{TLSOnPlainPort, HopClient, RetryNever,
		"the client speaks TLS to the tunnel's plaintext port",
		"Between the application and the tunnel everything stays inside the container. Set security.protocol=PLAINTEXT (or SASL_PLAINTEXT when the brokers ask for SASL) in the client.", closed},
	{HTTPOnKafkaPort, HopClient, RetryNever,
		"the client speaks HTTP to the Kafka port",
		"This port is for Kafka clients. The tunnel's health and status pages are at the admin address (http://127.0.0.1:19099/status).", "answered with 400 and closed"},
	{NotKafka, HopClient, RetryNever,
		"the client's first bytes are not a Kafka request",
		"Point only Kafka clients at this port. For other protocols of the same network use a forward.", closed},
	{BadFrame, HopClient, RetryNever,
		"the client sent a frame that is not valid Kafka",
		"The client, or something between it and the tunnel, is broken. Look at the client's version and at what else connects to this port.", closed},
	{RequestTooLarge, HopClient, RetryNever,
		"the client sent a request above limits.max_request_bytes",
		"Lower max.request.size in the client, or raise limits.max_request_bytes together with socket.request.max.bytes of the brokers.", closed},
	{VersionTooNew, HopClient, RetryNever,
		"the client sent a request in a version whose response the tunnel cannot rewrite",
		"The client ignores the versions that ApiVersions offers. Update the tunnel, or set the client's API version to an older Kafka release.", closed},
	{ClientStalled, HopClient, RetryNever,
		"the client began a request and did not finish it",
		"The application may be paused or out of memory. Look at its own logs for the same time.", closed},
	{ClientReset, HopClient, RetryNever,
		"the client reset its connection",
		"The application ended the connection hard, often at its own time-out or when it was killed. Look at its own logs for the same time.", closed},
	{ClientGone, HopClient, RetryNever,
		"the client went away before the broker was reached",
		"Usually the client's own time-out ended the wait. The failure that it waited for is logged beside this one.", closed},
	{ControllersUnsupported, HopClient, RetryNever,
		"the client asked for controller addresses, which the tunnel does not serve",
		"Use bootstrap.servers, not bootstrap.controllers, in admin tools that go through the tunnel.", closed},

	{TokenUnreachable, HopToken, RetryGate,
		"the token service at {target} cannot be reached",
		"Usually an outage that heals by itself. If it stays, check the egress rules of the space (cf security-groups) and that the host of token_service_url resolves.", held},
	{TokenTimeout, HopToken, RetryGate,
		"the token service at {target} does not answer in time",
		"Usually an overload that heals by itself. If it stays, look at the status page of the platform for Authorization and Trust Management.", held},
	{TokenStatus, HopToken, RetryGate,
		"the token service at {target} answers with an error",
		"Usually an outage that heals by itself. If it stays, look at the status page of the platform for Authorization and Trust Management.", held},
	{TokenRateLimited, HopToken, RetryGate,
		"the token service at {target} limits the rate of requests",
		"The limit is shared by the whole subaccount. The tunnel waits as long as it was told to; look for another application that fetches tokens without caching them.", held},
	{TokenRejected, HopToken, RetryCredentials,
		"the token service at {target} refuses the credentials",
		"The binding was rotated or deleted. Bind the connectivity service again (cf unbind-service, cf bind-service) and restage the application.", closed},
	{TokenMalformed, HopToken, RetryGate,
		"the token service at {target} answered without a usable token",
		"Something else answers at that address, or the URL lacks its path. Check token_service_url in the binding (cf env APP).", held},

	{ProxyUnresolvable, HopProxy, RetryGate,
		"the name of the connectivity proxy {host} cannot be resolved",
		"Inside the platform this is an outage of its name service that heals by itself. Outside, the proxy is reachable only through an application: cf ssh APP -N -L {port}:{target}, and then KAFKA_TUNNEL_CONNECTIVITY_PROXY=localhost:{port}.", held},
	{ProxyUnreachable, HopProxy, RetryGate,
		"the connectivity proxy {target} cannot be reached",
		"Usually an outage that heals by itself. If it stays, check the egress rules of the space (cf security-groups) for the proxy's host and port.", held},
	{ProxySilent, HopProxy, RetryGate,
		"the connectivity proxy {target} accepted the connection and does not answer",
		"Usually an overload that heals by itself. If it stays, check that the port is the SOCKS5 port (onpremise_socks5_proxy_port, usually 20004).", held},
	{ProxyProtocol, HopProxy, RetryGate,
		"what answers at {target} is not a SOCKS5 proxy",
		"Check that host and port are onpremise_proxy_host and onpremise_socks5_proxy_port of the binding (usually port 20004, not 20003 or 20001).", held},
	{ProxyMethodRefused, HopProxy, RetryGate,
		"the connectivity proxy {target} does not accept authentication by token (method 0x80)",
		"Check that host and port are those of the SAP connectivity proxy. A proxy in Kyma's trusted mode wants connectivity.auth: none.", held},
	{ProxyAuthRefused, HopProxy, RetryGate,
		"the connectivity proxy refuses the token",
		"The binding was rotated or belongs to another subaccount. Bind the connectivity service again (cf unbind-service, cf bind-service) and restage the application.",
		"one new token and one more try, then closed"},
	{ProxyGeneralFailure, HopConnector, RetryGate,
		"the connectivity proxy reports a general failure for {target}",
		"The Cloud Connector or the broker closed the connection while it was being opened. Look at the Cloud Connector's log (ljs_trace.log) for the same time.", held},
	{CommandRefused, HopProxy, RetryNever,
		"the connectivity proxy refuses the CONNECT command",
		"Check that host and port are those of the SAP connectivity proxy; then report this.", closed},
	{AddressUnsupported, HopConnector, RetryNever,
		"the connectivity proxy cannot take the address {target}",
		"Only host names and IPv4 addresses are possible. Expose the broker under a virtual host name and use that name.", closed},

	{ConnectorAway, HopConnector, RetryGate,
		"no Cloud Connector with {location} is connected to the subaccount",
		"The Cloud Connector is down, is switching over, or has another Location ID. Look in the cockpit under Connectivity > Cloud Connectors; if one is listed there, compare its Location ID with location_id.", held},
	{ConnectSilent, HopConnector, RetryAddress,
		"the Cloud Connector does not say in time whether it has reached {target}",
		"Most likely a firewall between the Cloud Connector and the broker swallows the connection. In the Cloud Connector open Cloud To On-Premise > Access Control and use Check Availability for {target}.", closedOnce},
	{AccessNotAllowed, HopConnector, RetryAddress,
		"the Cloud Connector ({location}) does not expose {target}",
		"Its access control has no entry for this address. In the Cloud Connector open Cloud To On-Premise > Access Control and add protocol TCP, virtual host {host}, virtual port {port}.", "closed after 1 s"},
	{BrokerUnreachable, HopBroker, RetryAddress,
		"the Cloud Connector cannot reach the broker behind {target}",
		"The broker is down, or a firewall is between the Cloud Connector and it. In the Cloud Connector open Cloud To On-Premise > Access Control and use Check Availability for {target}.", closedOnce},
	{BrokerStalled, HopBroker, RetryNever,
		"the broker {target} began a response and did not finish it",
		"The broker or the way to it is overloaded or was interrupted. Look at the Cloud Connector's monitor and at the broker's log for the same time.", closed},
	{BrokerReset, HopBroker, RetryNever,
		"the connection to the broker {target} was reset",
		"The Cloud Connector switched over or was restarted, or the broker was. Clients reconnect by themselves.", "reset"},
	{UnexpectedResponse, HopBroker, RetryNever,
		"{target} sent a response that nobody asked for",
		"Something other than a Kafka broker answers there, or the order of responses is broken. Check what the Cloud Connector's entry for {target} points to.", closed},
	{ResponseMalformed, HopBroker, RetryNever,
		"{target} sent a response that is not valid Kafka",
		"Something other than a Kafka broker answers there (a TLS port looks like this too). Check what the Cloud Connector's entry for {target} points to.", closed},
	{ResponseTooLarge, HopBroker, RetryNever,
		"{target} sent a response whose rewritten part is larger than the tunnel's bound",
		"No real cluster needs this much. Check what the Cloud Connector's entry for {target} points to.", closed},
}

// All returns the catalogue in the order of the hops. The slice is the caller's.
func All() []Entry { return append([]Entry(nil), catalogue...) }

// Lookup returns the row of a code; for a code that is not in the table it
// returns the row of [Internal] under that code.
func Lookup(code Code) Entry {
	for _, e := range catalogue {
		if e.Code == code {
			return e
		}
	}
	e := Lookup(Internal)
	e.Code = code
	return e
}
