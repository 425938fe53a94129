package metrics

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestEveryMetricIsDocumented compares the metrics with the table for operators.
func TestEveryMetricIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ((?:`[a-z]+`(?:, )?)*) ?\\|").FindAllStringSubmatch(string(page), -1) {
		documented = append(documented, row[1]+" "+strings.NewReplacer("`", "", " ", "").Replace(row[2]))
	}
	slices.Sort(documented)
	families, err := busy().Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	var made []string
	for _, f := range families {
		name, ours := strings.CutPrefix(f.GetName(), namespace+"_")
		if !ours {
			continue
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, l.GetName())
		}
		slices.Sort(labels)
		made = append(made, name+" "+strings.Join(labels, ","))
	}
	for i, row := range documented {
		name, labels, _ := strings.Cut(row, " ")
		list := strings.Split(labels, ",")
		slices.Sort(list)
		documented[i] = name + " " + strings.Join(list, ",")
	}
	slices.Sort(made)
	if !slices.Equal(made, documented) {
		t.Errorf("made:\n%s\ndocumented:\n%s", strings.Join(made, "\n"), strings.Join(documented, "\n"))
	}
}
