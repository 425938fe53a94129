// Package binding reads the credentials of the connectivity and the destination service from
// the service bindings of an application.
//
//	b, err := binding.FindConnectivity(os.Environ(), binding.Choice{})
//	// b.ProxyHost, b.ProxyPort, b.ClientID, b.ClientSecret.Reveal(), b.TokenURL
//	d, err := binding.FindDestination(os.Environ(), binding.Choice{})
//	// d.URI and the same credentials
//
// The platforms deliver bindings in four forms. The first one that exists is used:
//
//  1. the file that VCAP_SERVICES_FILE_PATH names, if the application has Cloud
//     Foundry's feature file-based-vcap-services (RFC-0030); a file that cannot be
//     read is an error
//  2. the variable VCAP_SERVICES, the same JSON
//  3. the folder that SERVICE_BINDING_ROOT names, with a folder for each binding:
//     Kubernetes (servicebinding.io, SAP BTP service operator) and Cloud Foundry's
//     feature service-binding-k8s
//  4. /etc/secrets/sapbtp/connectivity/INSTANCE, of older installations on Kubernetes
//
// An entry is a candidate if it is under the label of the service. Only if there is none, a
// user-provided service with the same credential keys is one too. If there are several
// candidates, the configuration must name the instance or the binding.
//
// Newer connectivity instances may get their tokens from the Identity Authentication service
// (IAS): then client and secret are those of a second binding, of that service.
//
// Every error is a [failure.Failure] that names the place, the service and the credential key,
// and never a value of the binding.
//
// The package reads no process environment, logs nothing and fetches no tokens. A binding of
// credential-type x509 has a certificate and a key instead of the secret, and another URL of
// the token service (certurl).
package binding

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// A Client is the application's identity at a token service.
type Client struct {
	ClientID     string // clientid
	ClientSecret Secret // clientsecret; "" for X.509
	Certificate  string // certificate, PEM, of an X.509 binding
	Key          Secret // key, PEM, of an X.509 binding
	TokenURL     string // token_service_url (or url; for X.509 certurl), with its path /oauth/token
	Resource     string // resource of tokens from IAS, whose URL is the identity binding's; "": tokens come from XSUAA
}

// Connectivity has the fields of a connectivity service binding that the tunnel needs (SAP
// Help: "Create and Bind a Connectivity Service Instance").
type Connectivity struct {
	Client
	Name      string // of the binding if it has a name, else of the instance
	ProxyHost string // onpremise_proxy_host; "": the plan connectivity_proxy has none
	ProxyPort uint16 // onpremise_socks5_proxy_port
	Source    string // "VCAP_SERVICES" or the path of the file
}

// Destination has the fields of a destination service binding that the tunnel needs.
type Destination struct {
	Client
	Name   string
	URI    string // uri: the URL of its REST API, without a path
	Source string
}

// The names of the variables that the platform sets.
const (
	variable     = "VCAP_SERVICES"
	fileVariable = "VCAP_SERVICES_FILE_PATH"
	rootVariable = "SERVICE_BINDING_ROOT"
)

// userProvided is the label of user-provided services.
const userProvided = "user-provided"

// A kind is one of the services whose binding the tunnel reads.
type kind struct {
	label             string
	hasCredentialKeys func(entry) bool // whether a user-provided service was made from its credentials
	// The codes if none is bound, if none has the configured name, and if there are several.
	// are there to choose from.
	missing, unknown, ambiguous failure.Code
}

var (
	connectivity = kind{"connectivity", entry.hasCredentialKeys, failure.BindingMissing, failure.BindingUnknown, failure.BindingAmbiguous}
	destination  = kind{"destination", entry.looksLikeDestination, failure.DestinationUnbound, failure.DestinationUnbound, failure.DestinationUnbound}
	identity     = kind{"identity", func(entry) bool { return false }, failure.IdentityUnbound, failure.IdentityUnbound, failure.IdentityUnbound}
)

// A Choice selects a binding and tells how it is used.
type Choice struct {
	Service string // name of the instance or of the binding; "" if there is only one
	Issuer  string // issuer of tokens: "xsuaa", "ias", or "auto" or "" for the binding's own
	Secrets string // root of the older layout on Kubernetes; "": /etc/secrets/sapbtp
}

// FindConnectivity returns the credentials of the only connectivity service that is bound.
// environ has the form of [os.Environ].
//
// The error is a [failure.Failure] with one of the codes binding_missing,
// binding_unknown, binding_ambiguous, binding_malformed, binding_credhub_ref and
// identity_unbound.
func FindConnectivity(environ []string, choice Choice) (*Connectivity, error) {
	source, entries, err := read(environ, cmp.Or(choice.Secrets, sapRoot))
	if err != nil {
		return nil, err
	}
	chosen, err := connectivity.choose(source, entries, choice.Service)
	if err != nil {
		return nil, err
	}
	if !chosen.usesIAS(choice.Issuer) {
		return chosen.connectivity(source, nil)
	}
	from, err := identity.choose(source, entries, "")
	if err != nil {
		return nil, err
	}
	return chosen.connectivity(source, &from)
}

// FindDestination returns the credentials of the destination service that is bound. Its errors
// are those of [FindConnectivity], with destination_unbound if there is none or there are
// several.
func FindDestination(environ []string, choice Choice) (*Destination, error) {
	source, entries, err := read(environ, cmp.Or(choice.Secrets, sapRoot))
	if failure.Is(err, failure.BindingMissing) {
		return nil, failure.New(failure.DestinationUnbound, nil).For(source, "")
	}
	if err != nil {
		return nil, err
	}
	chosen, err := destination.choose(source, entries, choice.Service)
	if err != nil {
		return nil, err
	}
	return chosen.destination(source)
}

// choose returns the entry to use.
func (k kind) choose(source string, entries []entry, service string) (entry, error) {
	candidates := k.usable(entries)
	if service != "" {
		return k.byName(source, entries, candidates, service)
	}
	switch len(candidates) {
	case 0:
		return entry{}, failure.New(k.missing, nil).For(source, "").With(whatIsBound(source, entries))
	case 1:
		return candidates[0], nil
	default:
		return entry{}, k.ambiguousError(source, candidates, "")
	}
}

// usable returns the entries that may have the credentials, in the order of their names.
func (k kind) usable(entries []entry) []entry {
	found := filter(entries, func(e entry) bool { return e.is(k.label) })
	if len(found) == 0 {
		// Entries without credentials, such as the drain of a metric registrar, do not look
		// like such a binding.
		return filter(entries, func(e entry) bool { return e.is(userProvided) && k.hasCredentialKeys(e) })
	}
	// An instance of the plan api_access has no proxy. It is no alternative to an instance that
	// has one.
	if forApps := filter(found, func(e entry) bool { return !e.forAPIOnly() }); len(forApps) > 0 {
		return forApps
	}
	return found
}

// byName returns the entry with the name: among the candidates, and if there is none, among all
// user-provided services, which then must have the required fields.
func (k kind) byName(source string, entries, candidates []entry, service string) (entry, error) {
	for _, pool := range [][]entry{
		filter(entries, func(e entry) bool { return e.is(k.label) }),
		filter(entries, func(e entry) bool { return e.is(userProvided) }),
	} {
		for _, same := range []func(a, b string) bool{equal, strings.EqualFold} {
			switch found := filter(pool, func(e entry) bool { return e.hasName(service, same) }); len(found) {
			case 0:
			case 1:
				return found[0], nil
			default:
				return entry{}, k.ambiguousError(source, found, fmt.Sprintf("%d services are named %q: ", len(found), service))
			}
		}
	}
	detail := fmt.Sprintf("none is named %q", service)
	if len(candidates) == 0 {
		return entry{}, failure.New(k.missing, nil).For(source, "").With(detail)
	}
	return entry{}, failure.New(k.unknown, nil).For(source, "").With(detail + "; bound: " + names(candidates))
}

func equal(a, b string) bool { return a == b }

func (k kind) ambiguousError(source string, found []entry, prefix string) error {
	return failure.New(k.ambiguous, nil).For(source, "").With(prefix + names(found))
}

// whatIsBound returns what is bound instead of a connectivity service.
func whatIsBound(source string, entries []entry) string {
	if len(entries) == 0 {
		return source + " has no services"
	}
	var labels []string
	for _, e := range entries {
		if !slices.Contains(labels, e.label) {
			labels = append(labels, e.label)
		}
	}
	slices.Sort(labels)
	return source + " has only " + strings.Join(labels, ", ")
}

// names returns a list of entries: "a, b (instance c)".
func names(entries []entry) string {
	list := make([]string, len(entries))
	for i, e := range entries {
		list[i] = e.describe()
	}
	return strings.Join(list, ", ")
}

func filter(entries []entry, keep func(entry) bool) []entry {
	var kept []entry
	for _, e := range entries {
		if keep(e) {
			kept = append(kept, e)
		}
	}
	return kept
}
