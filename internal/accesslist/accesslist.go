// Package accesslist lists the entries that the access control of a Cloud Connector must have
// for the brokers that a tunnel knows. The list is for people, or for the Cloud Connector's
// REST API.
//
//	entries := accesslist.Of(status.Clusters)
//	accesslist.Table(os.Stdout, entries)      // to type in
//	accesslist.JSON(os.Stdout, entries)       // to post, one by one
//
// Every broker that a response has named needs an entry. Its virtual address is the one that
// the tunnel sends in CONNECT; its internal address is the one that the broker advertises in
// the company's network. A bootstrap address that belongs to no broker, such as that of a load
// balancer, is listed as well; only the Cloud Connector knows its internal address.
package accesslist

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/kafka-tunnel/kafka-tunnel/internal/admin"
	"github.com/kafka-tunnel/kafka-tunnel/internal/terminal"
)

// An Entry is one line of the access control.
type Entry struct {
	LocationID string // Location ID of the Cloud Connector that needs the entry
	Virtual    string // host:port
	Internal   string // host:port; "": unknown
	Serves     string // for people: "broker 1 of default"
}

// Of returns the entries for clusters, by Location ID and virtual address.
func Of(clusters []admin.ClusterStatus) []Entry {
	var all []Entry
	seen := map[[2]string]int{}
	add := func(e Entry) {
		key := [2]string{e.LocationID, strings.ToLower(e.Virtual)}
		if i, ok := seen[key]; ok {
			if !strings.Contains(all[i].Serves, e.Serves) {
				all[i].Serves += ", " + e.Serves
			}
			return
		}
		seen[key] = len(all)
		all = append(all, e)
	}
	for _, c := range clusters {
		for _, n := range c.Nodes {
			add(Entry{cmp.Or(n.LocationID, c.LocationID), n.Virtual, n.Advertised, fmt.Sprintf("broker %d of %s", n.ID, c.Name)})
		}
		for _, b := range c.Bootstrap {
			if _, known := seen[[2]string{c.LocationID, strings.ToLower(b)}]; !known {
				add(Entry{LocationID: c.LocationID, Virtual: b, Serves: "bootstrap of " + c.Name})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.LocationID, b.LocationID), cmp.Compare(a.Virtual, b.Virtual))
	})
	return all
}

// Table writes the entries in the order of the Cloud Connector's form.
func Table(w io.Writer, entries []Entry) error {
	rows := [][]string{{"LOCATION ID", "PROTOCOL", "VIRTUAL HOST", "VIRTUAL PORT", "INTERNAL HOST", "INTERNAL PORT", "FOR"}}
	for _, e := range entries {
		host, port := split(e.Virtual)
		inner, innerPort := split(e.Internal)
		if e.Internal == "" {
			inner, innerPort = "(unchanged)", "-"
		}
		rows = append(rows, []string{cmp.Or(e.LocationID, "-"), "TCP", host, port, inner, innerPort, e.Serves})
	}
	return terminal.Table(w, rows...)
}

// A mapping is the body of POST .../subaccounts/REGION/SUBACCOUNT/systemMappings (SAP Help,
// Cloud Connector, "System Mappings").
type mapping struct {
	VirtualHost        string `json:"virtualHost"`
	VirtualPort        string `json:"virtualPort"`
	LocalHost          string `json:"localHost"`
	LocalPort          string `json:"localPort"`
	Protocol           string `json:"protocol"`
	BackendType        string `json:"backendType"`
	AuthenticationMode string `json:"authenticationMode"`
	Description        string `json:"description"`
}

// JSON writes a list of bodies for the Cloud Connector's REST API. It leaves out entries whose
// internal address is unknown: they exist already.
func JSON(w io.Writer, entries []Entry) error {
	list := []mapping{}
	for _, e := range entries {
		if e.Internal == "" {
			continue
		}
		m := mapping{Protocol: "TCP", BackendType: "nonSAPsys", AuthenticationMode: "NONE", Description: "Kafka: " + e.Serves}
		m.VirtualHost, m.VirtualPort = split(e.Virtual)
		m.LocalHost, m.LocalPort = split(e.Internal)
		list = append(list, m)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(list)
}

func split(address string) (host, port string) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address, ""
	}
	return host, port
}
