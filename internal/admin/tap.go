package admin

import (
	"bufio"
	"context"
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

// tapOff is the answer of /tap when it is not configured.
const tapOff = "Frames are not shown: set admin.tap (KAFKA_TUNNEL_ADMIN_TAP=true) and restart the tunnel."

// tapBuffer collects small frames, so that those that have come already leave together.
const tapBuffer = 32 << 10

// tap streams frames, as [tap.Writer] describes, until the client leaves, another viewer comes
// or the tunnel ends. It decodes nothing. A client that does not read is waited for, for as long
// as it stays: what passes meanwhile is dropped and counted.
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
	w.Header().Set("Content-Type", tap.ContentType)
	conn := http.NewResponseController(w)
	// The deadlines of an ordinary answer. Without them only the end of the connection shows
	// that the viewer has left.
	_ = conn.SetReadDeadline(time.Time{})
	_ = conn.SetWriteDeadline(time.Time{})
	if r.Method == http.MethodHead {
		return
	}
	viewer := h.s.Tap.Watch(filter)
	h.s.log().Info("a viewer watches the frames", "bodies", filter.Bodies, "records", filter.Records)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer viewer.Close()
	watch.Go(func() { // a write that waits does not notice that the viewer has ended
		<-viewer.Done()
		_ = conn.SetWriteDeadline(time.Now().Add(stopTimeout / 2))
	})
	// Only now: a client that has the head of the answer misses no frame.
	if conn.Flush() != nil {
		return
	}
	_ = streamFrames(r.Context(), w, conn, viewer) // no client is left to report an error to
}

// streamFrames writes frames until the viewer ends.
func streamFrames(ctx context.Context, w io.Writer, conn *http.ResponseController, viewer *tap.Viewer) error {
	out := bufio.NewWriterSize(w, tapBuffer)
	messages, err := tap.NewWriter(out)
	if err != nil {
		return err
	}
	for {
		frame, dropped, err := viewer.Next(ctx)
		if errors.Is(err, tap.ErrReplaced) {
			_ = messages.End(err.Error()) // an error comes again
			return out.Flush()
		}
		if err != nil {
			return err
		}
		if dropped > 0 {
			if err := messages.Dropped(dropped); err != nil {
				return err
			}
		}
		if frame != nil {
			if err := messages.Frame(frame); err != nil {
				return err
			}
		}
		if viewer.Waiting() {
			continue
		}
		if err := out.Flush(); err != nil {
			return err
		}
		if err := conn.Flush(); err != nil {
			return err
		}
	}
}

// Tap calls each with what the tunnel shows, until ctx ends, which is no error, or each returns
// an error. ready is called once, when frames are being shown.
func (c *Client) Tap(ctx context.Context, f tap.Filter, ready func(), each func(tap.Message) error) error {
	body, err := c.open(ctx, "/tap?"+f.Query().Encode())
	if err != nil {
		return err
	}
	defer body.Close()
	ready()
	messages := tap.NewReader(bufio.NewReaderSize(body, tapBuffer))
	for {
		m, err := messages.Next()
		switch {
		case err == nil:
			if err := each(m); err != nil {
				return err
			}
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, io.EOF):
			return fmt.Errorf("kafka-tunnel at %s has ended", strings.TrimPrefix(c.BaseURL, "http://"))
		case errors.Is(err, tap.ErrFormat):
			return fmt.Errorf("kafka-tunnel at %s: %w", strings.TrimPrefix(c.BaseURL, "http://"), err)
		default:
			return c.unreachable(err)
		}
	}
}
