package config

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// addressRules reads a list of rules. What they mean is checked with the key.
func (r *reader) addressRules(n *yaml.Node, id string) ([]AddressRule, bool) {
	if n.Kind == yaml.ScalarNode && n.Value == "" {
		return nil, true
	}
	if n.Kind != yaml.SequenceNode {
		r.wrong(n, id, `wants a list of rules such as [{from: "kafka-*.corp:9092", to: "vkafka-*:9092"}], but is `+form(n))
		return nil, false
	}
	ok := true
	var rules []AddressRule
	for i, item := range n.Content {
		item = resolve(item)
		where := fmt.Sprintf("%s[%d]", id, i)
		if item.Kind != yaml.MappingNode {
			r.wrong(item, where, "wants a rule such as {from: HOST:PORT, to: HOST:PORT}, but is "+formOrNothing(item))
			ok = false
			continue
		}
		var rule AddressRule
		fields := map[string]bool{}
		r.mapping(item, where, []string{"from", "to", "location_id"}, func(name string, value *yaml.Node) {
			if value.Kind != yaml.ScalarNode {
				r.wrong(value, where+"."+name, "wants a single value, but is "+form(value))
				ok = false
				return
			}
			if isNull(value) {
				return
			}
			fields[name] = true
			switch text := value.Value; name {
			case "from":
				rule.From = text
			case "to":
				rule.To = text
			default:
				if _, wrong := locationID(text); wrong != nil {
					r.report(Problem{Key: where + ".location_id", Source: r.source(value.Line), Value: brief(text), Message: wrong.message})
					ok = false
				}
				rule.LocationID = &text
			}
		})
		for _, name := range []string{"from", "to"} {
			if !fields[name] && ok {
				r.wrong(item, where, "lacks "+name)
				ok = false
			}
		}
		rules = append(rules, rule)
	}
	return rules, ok
}

// parseRules reads the YAML flow text of a variable.
func parseRules(text, id, source string, keys []key, report func(Problem)) ([]AddressRule, bool) {
	var node yaml.Node
	if err := yaml.Unmarshal([]byte(text), &node); err != nil || len(node.Content) == 0 {
		message := "is not valid YAML"
		if err != nil {
			message = yamlMessage(err)
		}
		report(Problem{Key: id, Source: source, Value: brief(text), Message: message,
			Nearest: `[{from: "kafka-*.corp:9092", to: "vkafka-*:9092"}]`})
		return nil, false
	}
	r := &reader{source: func(int) string { return source }, report: report, allKeys: keys}
	return r.addressRules(resolve(node.Content[0]), id)
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
