//go:build conformance

package conformance

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/kafka-tunnel/kafka-tunnel/test/conformance/realkafka"
)

func TestReleasesStart(t *testing.T) {
	for _, r := range realkafka.Releases() {
		t.Run(r.Version, func(t *testing.T) {
			jars, err := r.Jars(deadline(t))
			if err != nil {
				t.Fatal(err)
			}
			c, err := realkafka.Start(deadline(t), realkafka.Options{
				Jars: jars, Release: r, IDs: []int{1, 1001, 70000}, Racks: true, Dir: filepath.Join(workDir(t), "kafka"),
				Advertise: func(id, _ int) string { return realName(id) },
			})
			if err != nil {
				t.Fatal(err)
			}
			fmt.Println(r.Version, "starts")
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}
