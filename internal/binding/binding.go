// Package binding reads the credentials of the connectivity service from what
// the platform gives an application.
//
//	b, err := binding.FindConnectivity(os.Environ(), "")
//	// b.ProxyHost, b.ProxyPort, b.ClientID, b.ClientSecret.Reveal(), b.TokenURL
//
// The platforms deliver bindings in four forms. The first one that is there counts:
//
//  1. the file that VCAP_SERVICES_FILE_PATH names, when the application has Cloud
//     Foundry's feature file-based-vcap-services (RFC-0030); a file that cannot be
//     read is an error
//  2. the variable VCAP_SERVICES, the same JSON
//  3. the folder that SERVICE_BINDING_ROOT names, with a folder for each binding:
//     Kubernetes (servicebinding.io, SAP BTP service operator) and Cloud Foundry's
//     feature service-binding-k8s
//  4. /etc/secrets/sapbtp/connectivity/INSTANCE, of older set-ups on Kubernetes
//
// An entry is a candidate when it stands under the label connectivity. Only when
// there is none, a user-provided service with the same credential keys is one
// too. Several candidates need a choice by the name of the instance or of the
// binding.
//
// Every error is a [failure.Failure] that names the place, the service and the
// credential key, and never a value: what is wrong with a binding is never told
// by printing what stands in it.
//
// The package reads no process environment, logs nothing and fetches no tokens.
// A binding of credential-type x509 has a certificate and a key in place of the
// secret, and another URL of the token service (certurl).
package binding

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// Connectivity holds what the tunnel needs of a binding of the connectivity
// service (SAP help: "Create and Bind a Connectivity Service Instance").
type Connectivity struct {
	Name         string // of the binding if it has one, else of the instance
	ProxyHost    string // onpremise_proxy_host; "": the plan connectivity_proxy names none
	ProxyPort    uint16 // onpremise_socks5_proxy_port
	ClientID     string // clientid
	ClientSecret Secret // clientsecret; "" for X.509
	Certificate  string // certificate, PEM, of an X.509 binding
	Key          Secret // key, PEM, of an X.509 binding
	TokenURL     string // token_service_url (or url; for X.509 certurl), with its path /oauth/token
	Source       string // "VCAP_SERVICES" or the path of the file
}

// The names of the variables that the platform sets.
const (
	variable     = "VCAP_SERVICES"
	fileVariable = "VCAP_SERVICES_FILE_PATH"
	rootVariable = "SERVICE_BINDING_ROOT"
)

// The labels of the two kinds of services that can hold the credentials.
const (
	label        = "connectivity"
	userProvided = "user-provided"
)

// FindConnectivity returns the credentials of the one connectivity service that
// is bound. environ has the form of [os.Environ]. service is the name of the
// instance or of the binding to use; "" is right when there is only one.
//
// The error is a [failure.Failure] with one of the codes binding_missing,
// binding_unknown, binding_ambiguous, binding_malformed and binding_credhub_ref.
func FindConnectivity(environ []string, service string) (*Connectivity, error) {
	return find(environ, service, sapRoot)
}

// find is FindConnectivity with the root of the older layout.
func find(environ []string, service, sapRoot string) (*Connectivity, error) {
	source, entries, err := read(environ, sapRoot)
	if err != nil {
		return nil, err
	}
	chosen, err := choose(source, entries, service)
	if err != nil {
		return nil, err
	}
	return chosen.connectivity(source)
}

// choose picks the entry to use.
func choose(source string, entries []entry, service string) (entry, error) {
	candidates := usable(entries)
	if service != "" {
		return byName(source, entries, candidates, service)
	}
	switch len(candidates) {
	case 0:
		return entry{}, failure.New(failure.BindingMissing, nil).For(source, "").With(whatIsBound(source, entries))
	case 1:
		return candidates[0], nil
	default:
		return entry{}, ambiguous(source, candidates, "")
	}
}

// usable returns the entries that may hold the credentials, in the order of
// their names.
func usable(entries []entry) []entry {
	found := filter(entries, func(e entry) bool { return e.is(label) })
	if len(found) == 0 {
		// Entries without credentials, such as the drain of a metric registrar,
		// do not look like a connectivity binding and fall out here.
		return filter(entries, func(e entry) bool { return e.is(userProvided) && e.looksRight() })
	}
	// An instance of the plan api_access has no proxy in it. Where it stands
	// beside one that has, there is nothing to choose.
	if forApps := filter(found, func(e entry) bool { return !e.forAPIOnly() }); len(forApps) > 0 {
		return forApps
	}
	return found
}

// byName picks the entry that bears the name: among the candidates, and if there
// is none, among all user-provided services, which then must hold what is needed.
func byName(source string, entries, candidates []entry, service string) (entry, error) {
	for _, pool := range [][]entry{
		filter(entries, func(e entry) bool { return e.is(label) }),
		filter(entries, func(e entry) bool { return e.is(userProvided) }),
	} {
		for _, same := range []func(a, b string) bool{equal, strings.EqualFold} {
			switch found := filter(pool, func(e entry) bool { return e.bears(service, same) }); len(found) {
			case 0:
			case 1:
				return found[0], nil
			default:
				return entry{}, ambiguous(source, found, fmt.Sprintf("%q is the name of %d of them: ", service, len(found)))
			}
		}
	}
	detail := fmt.Sprintf("none is named %q", service)
	if len(candidates) == 0 {
		return entry{}, failure.New(failure.BindingMissing, nil).For(source, "").With(detail)
	}
	return entry{}, failure.New(failure.BindingUnknown, nil).For(source, "").With(detail + "; there is " + names(candidates))
}

func equal(a, b string) bool { return a == b }

func ambiguous(source string, found []entry, prefix string) error {
	return failure.New(failure.BindingAmbiguous, nil).For(source, "").With(prefix + names(found))
}

// whatIsBound says what there is instead of a connectivity service.
func whatIsBound(source string, entries []entry) string {
	if len(entries) == 0 {
		return source + " holds no service"
	}
	var labels []string
	for _, e := range entries {
		if !slices.Contains(labels, e.label) {
			labels = append(labels, e.label)
		}
	}
	slices.Sort(labels)
	return source + " holds only " + strings.Join(labels, ", ")
}

// names lists entries: "a, b (instance c)".
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
