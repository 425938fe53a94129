package failure

// An Entry is one row of the catalogue.
type Entry struct {
	Code    Code
	Hop     Hop
	Retry   Retry
	Summary string // one line, lower case, no full stop; {target} {host} {port} {location} are filled in
	Advice  string // what to do, most likely cause first; the last sentence is the next step
	Client  string // what the application's connection sees
	Heals   string // how it ends
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

	IdentityUnbound    Code = "identity_unbound"
	DestinationUnbound Code = "destination_unbound"

	OwnAddress Code = "own_address"

	PortTaken          Code = "port_taken"
	NoPort             Code = "no_port"
	AdvertisedLoopback Code = "advertised_loopback"
	UnmappedAddress    Code = "unmapped_address"
	NodeUnknown        Code = "node_unknown"
	NotTried           Code = "not_tried"
	Internal           Code = "internal"

	DescriptorsExhausted Code = "descriptors_exhausted"
	AcceptFailed         Code = "accept_failed"
	ConnectionsExhausted Code = "connections_exhausted"
	MemoryStalled        Code = "memory_stalled"

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
	TokenURLWrong    Code = "token_url_wrong"
	TokenRateLimited Code = "token_rate_limited"
	TokenRejected    Code = "token_rejected"
	TenantRejected   Code = "tenant_rejected"
	ResourceRejected Code = "resource_rejected"
	TokenMalformed   Code = "token_malformed"

	CertificateExpired Code = "certificate_expired"

	DestinationUnreachable Code = "destination_unreachable"
	DestinationStatus      Code = "destination_status"
	DestinationRejected    Code = "destination_rejected"
	DestinationNotFound    Code = "destination_not_found"
	DestinationMalformed   Code = "destination_malformed"
	DestinationWrongType   Code = "destination_wrong_type"
	DestinationProperty    Code = "destination_property"

	ProxyUnresolvable   Code = "proxy_unresolvable"
	ProxyUnreachable    Code = "proxy_unreachable"
	ProxySilent         Code = "proxy_silent"
	ProxyProtocol       Code = "proxy_protocol"
	ProxyMethodRefused  Code = "proxy_method_refused"
	ProxyAuthRefused    Code = "proxy_auth_refused"
	ProxyGeneralFailure Code = "proxy_general_failure"
	CommandRefused      Code = "command_refused"
	AddressUnsupported  Code = "address_unsupported"

	ConnectorAway     Code = "connector_away"
	ConnectSilent     Code = "connect_silent"
	AccessNotAllowed  Code = "access_not_allowed"
	BrokerUnreachable Code = "broker_unreachable"

	TLSUnknownAuthority Code = "tls_unknown_authority"
	TLSWrongName        Code = "tls_wrong_name"
	TLSExpired          Code = "tls_expired"
	TLSNotSpoken        Code = "tls_not_spoken"
	TLSRefused          Code = "tls_refused"
	TLSSilent           Code = "tls_silent"
	TLSFailed           Code = "tls_failed"

	BrokerStalled      Code = "broker_stalled"
	BrokerUnresponsive Code = "broker_unresponsive"
	BrokerReset        Code = "broker_reset"
	UnexpectedResponse Code = "unexpected_response"
	BrokerExpectsTLS   Code = "broker_expects_tls"
	ResponseMalformed  Code = "response_malformed"
	ResponseTooLarge   Code = "response_too_large"
)

const (
	destHeld   = "held as long as no value was ever read, else not affected"
	held       = "held until it heals or the hold time ends, then reset"
	closed     = "closed"
	reset      = "reset"
	closedOnce = "reset at once, so that the client turns to another broker"
	noStart    = "the tunnel does not start"
)

// How failures end.
const (
	restart   = "after a restart with the correction"
	gateHeals = "by itself: attempts go on, one at a time, every 0.25 to 1.5 s in the first minute and up to 10 s apart later; the first one that succeeds releases all waiting clients"
	pastHeals = "nothing is left of it: the client connects again"
	addrHeals = "by itself: the address is tried again once a second, after five minutes every 3 s, by one client at a time; the first success releases all waiting clients; other addresses are not affected"
	fixHeals  = "for new connections as soon as the cause is mended"
	destHeals = "by itself: the tunnel reads the destination again after 1 to 30 s while it has none, and after 30 s to 5 min while an earlier value serves on"
)

//go:generate go run ./docs ../../docs/failures.md

// catalogue is the table. It is the only place where these words stand.
var catalogue = []Entry{
	{ConfigInvalid, HopConfig, RetryNever,
		"the configuration is wrong",
		"Each line above names a key, where its value came from and what is allowed. Correct them and start again; `kafka-tunnel config` shows what is in effect.", noStart,
		restart},
	{BootstrapMissing, HopConfig, RetryNever,
		"no bootstrap address is configured",
		"Set KAFKA_TUNNEL_BOOTSTRAP to the virtual hosts and ports that the Cloud Connector exposes for the Kafka brokers, for example kafka-1.corp:9092,kafka-2.corp:9092.", noStart,
		restart},
	{BindingMissing, HopConfig, RetryNever,
		"no connectivity service is bound to this application",
		"Create an instance (cf create-service connectivity lite my-connectivity), bind it (cf bind-service APP my-connectivity) and restage the application.", noStart,
		restart},
	{BindingUnknown, HopConfig, RetryNever,
		"no connectivity service of the chosen name is bound",
		"Set KAFKA_TUNNEL_CONNECTIVITY_SERVICE to the name of a bound instance, or leave it out when there is only one.", noStart,
		restart},
	{BindingAmbiguous, HopConfig, RetryNever,
		"several connectivity services are bound and none is chosen",
		"Set KAFKA_TUNNEL_CONNECTIVITY_SERVICE to the name of the one to use.", noStart,
		restart},
	{BindingMalformed, HopConfig, RetryNever,
		"the service binding in {target} cannot be used",
		"The binding lacks what the tunnel needs or is not valid JSON. Bind the service again (cf unbind-service, cf bind-service) and restage; compare with `cf env APP`.", noStart,
		restart},
	{BindingCredhubRef, HopConfig, RetryNever,
		"the credentials in {target} are only a reference to CredHub",
		"The platform resolves credhub-ref only in the VCAP_SERVICES variable. Turn off file-based-vcap-services for this application and push it again.", noStart,
		restart},
	{IdentityUnbound, HopConfig, RetryNever,
		"tokens are to come from the Identity Authentication service, and no one instance of it is bound",
		"The connectivity binding says so (token-type), or token.issuer does. Bind the application's instance of the service identity, whose consumed-services lists the connectivity instance (cf bind-service APP my-identity), and restage; or leave token.issuer out.", noStart,
		restart},
	{DestinationUnbound, HopConfig, RetryNever,
		"the cluster's addresses are to come from a destination, and no one destination service is bound",
		"Create an instance (cf create-service destination lite my-destination), bind it (cf bind-service APP my-destination) and restage the application; where several are bound, set KAFKA_TUNNEL_CONNECTIVITY_DESTINATION_SERVICE to the name of one.", noStart,
		restart},

	{OwnAddress, HopConfig, RetryAddress,
		"{target} is an address of the tunnel itself",
		"The name resolves to this machine and the port is one of the tunnel's own, so that each connection would open another one. Correct the bootstrap address, the forward's `to` or connectivity.proxy; where a broker advertises this address, add an address_map rule: {from: \"{target}\", to: \"HOST:PORT\"}.", closedOnce,
		"after a restart with the correction, or by itself when the name resolves to another machine: the address is tried again as one of a broker that is down"},

	{PortTaken, HopLocal, RetryNever,
		"the local address {target} is taken",
		"Another process listens there. On Cloud Foundry it may be an old sidecar of another name, because a manifest never removes sidecars. List them with cf curl /v3/apps/GUID/sidecars and delete the old one, or change the tunnel's port.", noStart,
		restart},
	{NoPort, HopLocal, RetryNever,
		"no local port is left for broker {target}",
		"The range broker_ports is smaller than the number of brokers. Make it larger (KAFKA_TUNNEL_BROKER_PORTS=19100-19299) and restart.",
		"the broker is left out of responses",
		restart},
	{AdvertisedLoopback, HopLocal, RetryNever,
		"the broker advertises {target}, which would be this container and not the broker",
		"Add an address_map rule that says which virtual host of the Cloud Connector stands for it: {from: \"{target}\", to: \"VIRTUAL-HOST:PORT\"}.",
		"the broker is left out of responses",
		restart},
	{UnmappedAddress, HopLocal, RetryNever,
		"the broker address {target} has no local port",
		"The address was hidden from the client, because it would lead nowhere. Check `kafka-tunnel status` for the node and its last failure.",
		"the broker is left out of responses",
		"with the next response, once the cause of the node's failure is mended"},
	{NodeUnknown, HopLocal, RetryNever,
		"nobody has said yet which broker belongs to local port {target}",
		"A client connected to a broker port before any client had asked for metadata. Start clients at the bootstrap address.", held,
		"by itself, with the first metadata response that names the node"},
	{NotTried, HopLocal, RetryNever,
		"no connection to a broker has been tried yet",
		"Let a client connect, or run `kafka-tunnel wait`, which starts an attempt in the background.", "not affected",
		"by itself, with the first connection that is tried"},
	{DescriptorsExhausted, HopLocal, RetryGate,
		"the tunnel has no file descriptor left for another connection",
		"Each client connection needs two. Most likely the application opens connections and does not close them: see the connections in `kafka-tunnel status`. Else raise the limit of descriptors, or set limits.max_connections so that clients wait in the queue of the port.", "waits to be accepted, or held",
		"by itself, when connections are closed: accepting goes on after a pause of at most 1 s"},
	{AcceptFailed, HopLocal, RetryNever,
		"a client's connection could not be accepted at local port {target}",
		"The system refused it, most likely for want of memory. Look at the memory of the container.", "waits to be accepted",
		"by itself: accepting goes on after a pause of at most 1 s"},
	{ConnectionsExhausted, HopLocal, RetryNever,
		"the limit of {target} client connections is reached",
		"Most likely the application opens connections and does not close them: look for a client that leaks them in `kafka-tunnel status --connections`. If all are in use, raise limits.max_connections, or where that is not set the limit of file descriptors or of memory from which it is derived.", "waits to be accepted",
		"by itself, when connections are closed: the next client is accepted at once"},
	{MemoryStalled, HopLocal, RetryNever,
		"a response from {target} was held for long while others waited for the memory",
		"The client does not read, or the broker sends very slowly. If it repeats, look for a client that has stopped in `kafka-tunnel status --connections`, or give the tunnel more memory (a quarter of the memory limit is for responses that must be held).", closed,
		pastHeals},
	{Internal, HopLocal, RetryNever,
		"the tunnel met an error of its own",
		"Report this with the log lines around it.", closed,
		"nothing is left of it: the client connects again; after an error of an accept loop the tunnel exits with 70 and the platform starts it again"},

	{TLSOnPlainPort, HopClient, RetryNever,
		"the client speaks TLS to the tunnel's plaintext port",
		"Between the application and the tunnel everything stays inside the container. Where the brokers want TLS, the tunnel speaks it (KAFKA_TUNNEL_TLS_ENABLED=true). Set security.protocol=PLAINTEXT in the client, or SASL_PLAINTEXT when the brokers ask for SASL.", closed,
		fixHeals},
	{HTTPOnKafkaPort, HopClient, RetryNever,
		"the client speaks HTTP to the Kafka port",
		"This port is for Kafka clients. For the tunnel's health and status ask the admin address (http://127.0.0.1:19099/status).", "answered with 400 and closed",
		fixHeals},
	{NotKafka, HopClient, RetryNever,
		"the client's first bytes are not a Kafka request",
		"Point only Kafka clients at this port. For other protocols of the same network use a forward.", closed,
		fixHeals},
	{BadFrame, HopClient, RetryNever,
		"the client sent a frame that is not valid Kafka",
		"The client, or something between it and the tunnel, is broken. Look at the client's version and at what else connects to this port.", closed,
		fixHeals},
	{RequestTooLarge, HopClient, RetryNever,
		"the client sent a request above limits.max_request_bytes",
		"Lower max.request.size in the client, or raise limits.max_request_bytes together with socket.request.max.bytes of the brokers.", closed,
		fixHeals},
	{VersionTooNew, HopClient, RetryNever,
		"the client sent a request in a version whose response the tunnel cannot rewrite",
		"The client ignores the versions that ApiVersions offers. Update the tunnel, or set the client's API version to an older Kafka release.", closed,
		fixHeals},
	{ClientStalled, HopClient, RetryNever,
		"the client began a request and did not finish it",
		"The application may be paused or out of memory. Look at its own logs for the same time.", closed,
		pastHeals},
	{ClientReset, HopClient, RetryNever,
		"the client reset its connection",
		"The application ended the connection hard, often at its own time-out or when it was killed. Look at its own logs for the same time.", closed,
		pastHeals},
	{ClientGone, HopClient, RetryNever,
		"the client went away before the broker was reached",
		"Usually the client's own time-out ended the wait. Look at the failure that it waited for, which is logged beside this one.", closed,
		pastHeals},
	{ControllersUnsupported, HopClient, RetryNever,
		"the client asked for controller addresses, which the tunnel does not serve",
		"Use bootstrap.servers, not bootstrap.controllers, in admin tools that go through the tunnel.", closed,
		fixHeals},

	{TokenUnreachable, HopToken, RetryGate,
		"the token service at {target} cannot be reached",
		"Usually an outage that heals by itself. If it stays, check the egress rules of the space (cf security-groups) and that the host of token_service_url resolves.", held,
		gateHeals},
	{TokenTimeout, HopToken, RetryGate,
		"the token service at {target} does not answer in time",
		"Usually an overload that heals by itself. If it stays, look at the status page of the platform for Authorization and Trust Management.", held,
		gateHeals},
	{TokenStatus, HopToken, RetryGate,
		"the token service at {target} answers with an error",
		"Usually an outage that heals by itself. If it stays, look at the status page of the platform for Authorization and Trust Management.", held,
		gateHeals},
	{TokenURLWrong, HopToken, RetryGate,
		"the token service at {target} does not accept a request for a token",
		"Most likely the URL is wrong: its path is missing or another one (token_service_url of the binding gets /oauth/token appended, token.url must be complete), or its host belongs to another tenant (KAFKA_TUNNEL_TENANT). Compare the URL in `kafka-tunnel config` with the binding (cf env APP), correct it and restart.", held,
		"after a restart with the correction; the tunnel keeps asking meanwhile, because a router in front of the service may give the same answer in an outage"},
	{TokenRateLimited, HopToken, RetryGate,
		"the token service at {target} limits the rate of requests",
		"The limit is shared by the whole subaccount, and the tunnel waits as long as it was told to. Look for another application that fetches tokens without caching them.", held,
		"by itself: the tunnel asks again after the time that it was told (Retry-After), and up to a fifth of it later; an old token serves while it is usable"},
	{TokenRejected, HopToken, RetryCredentials,
		"the token service at {target} refuses the credentials",
		"The binding was rotated or deleted. Bind the connectivity service again (cf unbind-service, cf bind-service) and restage the application.", reset,
		"by itself only when the service accepts them again: the tunnel asks every 30 s; rotated credentials need a restage"},
	{TenantRejected, HopToken, RetryCredentials,
		"the token service at {target} gives no token for the subscriber",
		"The subscriber is not subscribed to the application, or the application does not name the connectivity service's xsappname among its dependencies. Look in the cockpit of the subscriber's subaccount under Services > Instances and Subscriptions, and compare its subdomain or tenant id with KAFKA_TUNNEL_TENANT.", reset,
		"by itself as soon as the subscriber is known: the tunnel asks every 30 s"},
	{ResourceRejected, HopToken, RetryCredentials,
		"the Identity Authentication service at {target} gives no token for the connectivity instance",
		"The identity instance must list the connectivity instance among its consumed-services. Update it with cf update-service my-identity -c '{\"consumed-services\": [{\"service-instance-name\": \"my-connectivity\"}]}', or set KAFKA_TUNNEL_TOKEN_ISSUER=xsuaa where the binding allows both.", reset,
		"by itself as soon as it is listed: the tunnel asks every 30 s"},
	{TokenMalformed, HopToken, RetryGate,
		"the token service at {target} answered without a usable token",
		"Something else answers at that address, or the URL lacks its path. Check token_service_url in the binding (cf env APP).", held,
		gateHeals},

	{CertificateExpired, HopToken, RetryCredentials,
		"the certificate of the binding has expired",
		"Certificates of X.509 bindings live for days (7 unless the binding asks for more). Bind the connectivity service again (cf unbind-service, cf bind-service with the same parameters) and restage the application; ask for a longer validity there if nobody does this regularly.", closed,
		"after the application has been restaged with a new certificate"},
	{DestinationUnreachable, HopDestination, RetryGate,
		"the destination service at {target} cannot be reached",
		"Usually an outage that heals by itself; the last value that was read serves on. If it stays, check the egress rules of the space (cf security-groups) and that the host of uri in the binding resolves.", destHeld,
		destHeals},
	{DestinationStatus, HopDestination, RetryGate,
		"the destination service at {target} answers with an error",
		"Usually an outage that heals by itself; the last value that was read serves on. If it stays, look at the status page of the platform for the Destination Service.", destHeld,
		destHeals},
	{DestinationRejected, HopDestination, RetryNever,
		"the destination service at {target} refuses the token",
		"The binding of the destination service was rotated or belongs to another subaccount. Bind it again (cf unbind-service, cf bind-service) and restage the application.", destHeld,
		destHeals},
	{DestinationNotFound, HopDestination, RetryNever,
		"there is no destination {target}",
		"The name is compared letter by letter, first among the destinations of the bound instance and then among those of the subaccount. Open the cockpit under Connectivity > Destinations and create it (type TCP, proxy type OnPremise), or correct KAFKA_TUNNEL_DESTINATION.", destHeld,
		destHeals},
	{DestinationMalformed, HopDestination, RetryNever,
		"what answers at {target} is not the destination service",
		"Something between the application and the service answers in its place. Check uri in the binding of the destination service, and HTTPS_PROXY.", destHeld,
		destHeals},
	{DestinationWrongType, HopDestination, RetryNever,
		"the destination {target} is not for TCP by way of a Cloud Connector",
		"Only that kind leads to brokers. Open it in the cockpit under Connectivity > Destinations and set Type to TCP and Proxy Type to OnPremise.", destHeld,
		destHeals},
	{DestinationProperty, HopDestination, RetryNever,
		"a property of the destination {target} cannot be used",
		"The destination is used as a whole or not at all. Open it in the cockpit under Connectivity > Destinations and correct the property that is named; docs/sap-btp.md lists those that the tunnel knows.", destHeld,
		destHeals},

	{ProxyUnresolvable, HopProxy, RetryGate,
		"the name of the connectivity proxy {host} cannot be resolved",
		"Inside the platform this is an outage of its name service that heals by itself. The name is known only there: to try something out, run it as a task of the application (cf run-task APP). Outside, open a route through an application: SAP BTP disables SSH by default, so run cf enable-ssh APP and cf restage APP first, then cf ssh APP -N -L {port}:{target} and set KAFKA_TUNNEL_CONNECTIVITY_PROXY=localhost:{port}.", held,
		gateHeals},
	{ProxyUnreachable, HopProxy, RetryGate,
		"the connectivity proxy {target} cannot be reached",
		"Usually an outage that heals by itself. If it stays, check the egress rules of the space (cf security-groups) for the proxy's host and port.", held,
		gateHeals},
	{ProxySilent, HopProxy, RetryGate,
		"the connectivity proxy {target} accepted the connection and does not answer",
		"Usually an overload that heals by itself. If it stays, check that the port is the SOCKS5 port (onpremise_socks5_proxy_port, usually 20004).", held,
		gateHeals},
	{ProxyProtocol, HopProxy, RetryGate,
		"what answers at {target} is not a SOCKS5 proxy",
		"Check that host and port are onpremise_proxy_host and onpremise_socks5_proxy_port of the binding (usually port 20004, not 20003 or 20001).", held,
		gateHeals},
	{ProxyMethodRefused, HopProxy, RetryGate,
		"the connectivity proxy {target} does not accept the way in which the tunnel authenticates",
		"The platform's proxy wants a token (connectivity.auth: jwt, the default), one in Kyma's trusted mode connectivity.auth: none. Set connectivity.auth accordingly, and check that host and port are those of the SAP connectivity proxy (usually port 20004).", held,
		gateHeals},
	{ProxyAuthRefused, HopProxy, RetryGate,
		"the connectivity proxy refuses the token",
		"The binding was rotated or belongs to another subaccount. Bind the connectivity service again (cf unbind-service, cf bind-service) and restage the application.",
		"one new token and one more try, then reset",
		"by itself, as with the proxy's other failures; a new token is fetched for a refused one, at most every 30 s"},
	{ProxyGeneralFailure, HopConnector, RetryGate,
		"the connectivity proxy reports a general failure for {target}",
		"The Cloud Connector or the broker closed the connection while it was being opened. Look at the Cloud Connector's log (ljs_trace.log) for the same time.", held,
		gateHeals},
	{CommandRefused, HopProxy, RetryNever,
		"the connectivity proxy refuses the CONNECT command",
		"Check that host and port are those of the SAP connectivity proxy; then report this.", reset,
		fixHeals},
	{AddressUnsupported, HopConnector, RetryNever,
		"the connectivity proxy cannot take the address {target}",
		"Only host names and IPv4 addresses are possible. Expose the broker under a virtual host name and use that name.", reset,
		fixHeals},

	{ConnectorAway, HopConnector, RetryGate,
		"no Cloud Connector {location} is connected to the subaccount",
		"The Cloud Connector is down, is switching over, or has another Location ID. Look in the cockpit under Connectivity > Cloud Connectors; if one is listed there, compare its Location ID with location_id.", held,
		gateHeals},
	{ConnectSilent, HopConnector, RetryAddress,
		"the Cloud Connector does not say in time whether it has reached {target}",
		"Most likely a firewall between the Cloud Connector and the broker swallows the connection. In the Cloud Connector open Cloud To On-Premise > Access Control and use Check Availability for {target}.", closedOnce,
		addrHeals},
	{AccessNotAllowed, HopConnector, RetryAddress,
		"the Cloud Connector {location} does not expose {target}",
		"Its access control has no entry for this address. In the Cloud Connector open Cloud To On-Premise > Access Control and add protocol TCP, virtual host {host}, virtual port {port}.", "reset after 1 s",
		"by itself once the entry is there: the address is tried again after 5 s, after a minute every 30 s, by one client at a time"},
	{BrokerUnreachable, HopBroker, RetryAddress,
		"the Cloud Connector cannot reach the broker behind {target}",
		"The broker is down, or a firewall is between the Cloud Connector and it. In the Cloud Connector open Cloud To On-Premise > Access Control and use Check Availability for {target}.", closedOnce,
		addrHeals},
	{TLSUnknownAuthority, HopBroker, RetryAddress,
		"the certificate of {target} is from an authority that is not trusted",
		"Put the certificate of the company's authority (PEM) into a file of the application and name it: KAFKA_TUNNEL_TLS_CA_FILE=kafka-ca.pem. If it is there already, ask the operator of the brokers for the certificates in between: a broker's keystore must hold the whole chain.", closedOnce,
		addrHeals},
	{TLSWrongName, HopBroker, RetryAddress,
		"the certificate of {target} is for another host",
		"Where all brokers have one certificate, set tls.server_name to one of the names in it. Where each has its own and the Cloud Connector's virtual hosts differ from the brokers' names, set address_map: [{from: \"NAME-IN-THE-CERTIFICATE\", to: \"{host}\"}].", closedOnce,
		addrHeals},
	{TLSExpired, HopBroker, RetryAddress,
		"the certificate of {target} has expired or is not valid yet",
		"If its dates are right, the clock of this machine is not. Ask the operator of the brokers for a new certificate.", closedOnce,
		addrHeals},
	{TLSNotSpoken, HopBroker, RetryAddress,
		"{target} does not speak TLS",
		"Most likely it is a listener without TLS: leave out tls.enabled, or let the Cloud Connector's entry for {target} lead to the brokers' TLS port (often 9093). Where the entry's protocol is TCP SSL, the Cloud Connector speaks TLS itself: set it to TCP there.", closedOnce,
		addrHeals},
	{TLSRefused, HopBroker, RetryAddress,
		"{target} refuses the TLS connection",
		"The broker has said why. \"certificate required\" and \"bad certificate\" mean that it wants a certificate from its clients (ssl.client.auth=required), which the tunnel does not have; \"protocol version\" and \"handshake failure\" that it speaks nothing newer than TLS 1.1, or no cipher in common. Look at ssl.client.auth, ssl.enabled.protocols and ssl.cipher.suites of the broker's listener.", closedOnce,
		addrHeals},
	{TLSSilent, HopBroker, RetryAddress,
		"{target} does not answer in the TLS handshake",
		"The broker or the way to it is overloaded, or something other than a Kafka broker listens there. Check what the Cloud Connector's entry for {target} points to.", closedOnce,
		addrHeals},
	{TLSFailed, HopBroker, RetryAddress,
		"the TLS handshake with {target} has failed",
		"The cause stands beside it. Check the broker's certificate (it must be for TLS servers) and what the Cloud Connector's entry for {target} points to.", closedOnce,
		addrHeals},
	{BrokerStalled, HopBroker, RetryNever,
		"the broker {target} began a response and did not finish it",
		"The broker or the way to it is overloaded or was interrupted. Look at the Cloud Connector's monitor and at the broker's log for the same time.", closed,
		pastHeals},
	{BrokerUnresponsive, HopBroker, RetryNever,
		"the broker {target} has left requests unanswered for more than 10 s",
		"The broker, or the path to it, is overloaded or was interrupted without the connection being closed. Compare the nodes in `kafka-tunnel status`: if it is all of them, look at the Cloud Connector's monitor; if it is one, look at that broker's log and its request queue.", "not affected: it waits",
		"by itself, when the broker answers in time again, or when the clients have turned to another one"},
	{BrokerReset, HopBroker, RetryNever,
		"the connection to the broker {target} was reset",
		"The Cloud Connector switched over or was restarted, or the broker was; clients reconnect by themselves. If it repeats, look at the Cloud Connector's log (ljs_trace.log) and at the broker's for the same time.", "reset",
		pastHeals},
	{BrokerExpectsTLS, HopBroker, RetryNever,
		"{target} expects TLS",
		"Set KAFKA_TUNNEL_TLS_ENABLED=true and, unless a public authority has issued the brokers' certificates, KAFKA_TUNNEL_TLS_CA_FILE. Else let the Cloud Connector's entry for {target} lead to a listener without TLS, because the way through the Cloud Connector is encrypted by itself.", closed,
		fixHeals},
	{UnexpectedResponse, HopBroker, RetryNever,
		"{target} sent a response that nobody asked for",
		"Something other than a Kafka broker answers there, or the order of responses is broken. Check what the Cloud Connector's entry for {target} points to.", closed,
		fixHeals},
	{ResponseMalformed, HopBroker, RetryNever,
		"{target} sent a response that is not valid Kafka",
		"Something other than a Kafka broker answers there (a TLS port looks like this too). Check what the Cloud Connector's entry for {target} points to.", closed,
		fixHeals},
	{ResponseTooLarge, HopBroker, RetryNever,
		"{target} sent a response whose rewritten part is larger than the tunnel's bound",
		"No real cluster needs this much, unless the memory limit is very small: three quarters of a quarter of it are for such responses. Raise the memory of the sidecar if the detail names the memory limit; otherwise check what the Cloud Connector's entry for {target} points to.", closed,
		fixHeals},
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
