package token

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Where the two token services of BTP answer.
const (
	endpointPath = "/oauth/token"  // XSUAA
	identityPath = "/oauth2/token" // Identity Authentication (IAS)
)

// EndpointURL returns the address to fetch tokens from. base is a binding's
// token_service_url, which in some bindings already ends in /oauth/token.
//
// Its error is worded for a user and does not contain base, which in a broken
// binding may hold a password.
func EndpointURL(base string) (string, error) { return endpointURL(base, endpointPath) }

// IdentityEndpointURL is the same for the Identity Authentication service, whose
// bindings name it by url.
func IdentityEndpointURL(base string) (string, error) { return endpointURL(base, identityPath) }

func endpointURL(base, answers string) (string, error) {
	u, err := url.Parse(strings.TrimSpace(base))
	switch {
	case strings.TrimSpace(base) == "":
		return "", errors.New("the URL of the token service is empty")
	case err != nil:
		return "", errors.New("the URL of the token service is not a valid URL")
	case u.Scheme == "":
		return "", errors.New("the URL of the token service has no scheme, it should begin with https://")
	case u.Scheme != "https" && u.Scheme != "http":
		return "", fmt.Errorf("the URL of the token service has the scheme %.20q, it should begin with https://", u.Scheme)
	case u.Hostname() == "":
		return "", errors.New("the URL of the token service has no host")
	case u.User != nil:
		return "", errors.New("the URL of the token service holds a user name or password, which belong into client_id and client_secret")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("the URL of the token service has a query or fragment, which it should not have")
	}
	path := strings.TrimRight(u.Path, "/")
	if !strings.HasSuffix(path, answers) {
		path += answers
	}
	u.Path, u.RawPath = path, ""
	return u.String(), nil
}
