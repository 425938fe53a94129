package token

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// zoneID is the form of a tenant's id, a UUID. Everything else is a subdomain.
var zoneID = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// IsZoneID reports whether a tenant is named by its id and not by its subdomain.
func IsZoneID(tenant string) bool { return zoneID.MatchString(tenant) }

// forTenant returns the endpoint of a subscriber's subdomain: it takes the place of
// the provider's own (SAP help, "Multitenancy in the Connectivity Service").
//
//	https://provider.authentication.eu10.hana.ondemand.com/oauth/token
//	        subscriber
func forTenant(endpoint, subdomain string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return "", errors.New("the URL of the token service is not a valid URL")
	}
	host := u.Hostname()
	_, domain, ok := strings.Cut(host, ".")
	if _, err := netip.ParseAddr(host); err == nil || !ok {
		return "", fmt.Errorf("the URL of the token service has no subdomain in whose place the tenant %q could stand; name the tenant by its id (a UUID)", subdomain)
	}
	port := strings.TrimPrefix(u.Host, host) // with its colon
	u.Host = subdomain + "." + domain + port
	return u.String(), nil
}
