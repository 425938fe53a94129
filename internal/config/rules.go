package config

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// ruleExample is shown where a list is not understood.
const ruleExample = `[{from: "kafka-*.corp:9092", to: "vkafka-*:9092"}]`

// addressRules reads a list of rules. What they mean is checked with the key.
func (r *reader) addressRules(n *yaml.Node, id string) (rules []AddressRule, ok bool) {
	list := objectList{
		what: "rules", example: ruleExample, one: "a rule such as {from: HOST:PORT, to: HOST:PORT}",
		fields: []string{"from", "to", "location_id"}, needed: 2,
	}
	ok = r.objects(n, id, list, func() { rules = append(rules, AddressRule{}) }, func(name, text string) (wrong *fault) {
		switch rule := &rules[len(rules)-1]; name {
		case "from":
			rule.From = text
		case "to":
			rule.To = text
		default:
			_, wrong = locationID(text)
			rule.LocationID = &text
		}
		return wrong
	})
	return rules, ok
}

// parseRules reads the YAML flow text of a variable.
func parseRules(text, id, source string, keys []key, report func(Problem)) ([]AddressRule, bool) {
	r, node, ok := flow(text, id, source, ruleExample, keys, report)
	if !ok {
		return nil, false
	}
	return r.addressRules(node, id)
}

// showRules writes rules as the flow text that a variable takes.
func showRules(rules []AddressRule) string {
	parts := make([]string, len(rules))
	for i, rule := range rules {
		parts[i] = fmt.Sprintf("{from: %q, to: %q", rule.From, rule.To)
		if rule.LocationID != nil {
			parts[i] += fmt.Sprintf(", location_id: %q", *rule.LocationID)
		}
		parts[i] += "}"
	}
	return "[" + strings.Join(parts, ", ") + "]"
}
