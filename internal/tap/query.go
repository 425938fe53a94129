package tap

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

// ParseQuery parses a filter: api, node and conn may be repeated; errors, bodies and records
// are true or false.
func ParseQuery(q url.Values) (f Filter, err error) {
	for name, values := range q {
		for _, value := range values {
			if err := f.set(name, value); err != nil {
				return f, err
			}
		}
	}
	f.Bodies = f.Bodies || f.Records
	return f, nil
}

func (f *Filter) set(name, value string) (err error) {
	switch name {
	case "api":
		key, ok := keyOf(value)
		if !ok {
			return fmt.Errorf("unknown API %q; `kafka-tunnel apis` lists all", value)
		}
		f.APIs = append(f.APIs, key)
		return nil
	case "node":
		if _, err := strconv.ParseInt(value, 10, 32); err != nil && value != "bootstrap" {
			return fmt.Errorf("node %q is neither an id nor bootstrap", value)
		}
		f.Nodes = append(f.Nodes, value)
		return nil
	case "conn":
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			return fmt.Errorf("conn %q is not a connection number; log lines and `kafka-tunnel status --connections` show it", value)
		}
		f.Conns = append(f.Conns, n)
		return nil
	case "errors":
		f.Errors, err = strconv.ParseBool(value)
	case "bodies":
		f.Bodies, err = strconv.ParseBool(value)
	case "records":
		f.Records, err = strconv.ParseBool(value)
	default:
		return fmt.Errorf("unknown parameter %q; supported: api, node, conn, errors, bodies and records", name)
	}
	if err != nil {
		return fmt.Errorf("%s=%s: expected true or false", name, value)
	}
	return nil
}

// keyOf finds an API by its key or by its name, in upper or lower case.
func keyOf(keyOrName string) (key int16, ok bool) {
	number, err := strconv.Atoi(keyOrName)
	for _, a := range kafka.APIs() {
		if err == nil && int(a.Key) == number || strings.EqualFold(a.Name, keyOrName) {
			return a.Key, true
		}
	}
	return 0, false
}

// Query returns the query that ParseQuery parses.
func (f Filter) Query() url.Values {
	q := url.Values{}
	for _, key := range f.APIs {
		q.Add("api", strconv.Itoa(int(key)))
	}
	for _, node := range f.Nodes {
		q.Add("node", node)
	}
	for _, conn := range f.Conns {
		q.Add("conn", strconv.FormatUint(conn, 10))
	}
	for name, on := range map[string]bool{"errors": f.Errors, "bodies": f.Bodies, "records": f.Records} {
		if on {
			q.Set(name, "true")
		}
	}
	return q
}
