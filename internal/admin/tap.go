package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/tap"
)

// tapOff is what /tap says when it is not configured.
const tapOff = "Nobody may watch: set admin.tap (KAFKA_TUNNEL_ADMIN_TAP=true) and start the tunnel again."

// tap shows frames until the client leaves, somebody else watches or the tunnel ends. A
// client that does not read is waited for, for as long as it stays: what passes meanwhile is
// dropped and counted.
func (h *handler) tap(w http.ResponseWriter, r *http.Request) {
	if h.s.Tap == nil {
		plainText(w, http.StatusNotFound, tapOff+"\n")
		return
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		plainText(w, http.StatusBadRequest, "the query is malformed\n")
		return
	}
	filter, err := tap.ParseQuery(query)
	if err != nil {
		plainText(w, http.StatusBadRequest, err.Error()+"\n")
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	conn := http.NewResponseController(w)
	// The bounds of an ordinary answer. Without them, who watches is known to have left by
	// the end of the connection alone.
	_ = conn.SetReadDeadline(time.Time{})
	_ = conn.SetWriteDeadline(time.Time{})
	if r.Method == http.MethodHead {
		return
	}
	viewer := h.s.Tap.Watch(filter)
	h.s.log().Info("somebody watches the frames", "bodies", filter.Bodies, "records", filter.Records)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer viewer.Close()
	watch.Go(func() { // a write that waits does not see that it is over
		<-viewer.Over()
		_ = conn.SetWriteDeadline(time.Now().Add(stopTimeout / 2))
	})
	// Only now: whoever has the head of the answer misses no frame.
	if conn.Flush() != nil {
		return
	}
	_ = show(r.Context(), w, conn, viewer, tap.NewDescriber(filter)) // nobody is there to be told
}

// show writes frames; those that have come already leave together.
func show(ctx context.Context, w io.Writer, conn *http.ResponseController, viewer *tap.Viewer, describer *tap.Describer) error {
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	for {
		frame, dropped, err := viewer.Next(ctx)
		if errors.Is(err, tap.ErrReplaced) {
			return lines.Encode(tap.Notice{Over: err.Error()})
		}
		if err != nil {
			return err
		}
		if dropped > 0 {
			if err := lines.Encode(tap.Notice{Dropped: dropped}); err != nil {
				return err
			}
		}
		if frame != nil {
			if event, ok := describer.Describe(frame); ok {
				if err := lines.Encode(event); err != nil {
					return err
				}
			}
		}
		if !viewer.Waiting() {
			if err := conn.Flush(); err != nil {
				return err
			}
		}
	}
}

// maxLine bounds a line of /tap: the body of a frame of [tap.MaxBytes] as JSON.
const maxLine = 64 << 20

// Tap calls each with the frames that pass, as [tap.Event] in JSON, until ctx ends, which is
// no error, or each returns an error. ready is called once, when frames are being shown.
func (c *Client) Tap(ctx context.Context, f tap.Filter, ready func(), each func(line []byte) error) error {
	body, err := c.open(ctx, "/tap?"+f.Query().Encode())
	if err != nil {
		return err
	}
	defer body.Close()
	ready()
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		if err := each(lines.Bytes()); err != nil {
			return err
		}
	}
	switch err := lines.Err(); {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return c.unreachable(err)
	}
	return fmt.Errorf("kafka-tunnel at %s has ended", strings.TrimPrefix(c.BaseURL, "http://"))
}
