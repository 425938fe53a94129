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

// tapOff is the response of /tap if it is not enabled.
const tapOff = "Watching frames is not enabled: set admin.tap (KAFKA_TUNNEL_ADMIN_TAP=true) and restart the tunnel."

// tapBuffer collects small frames, so that those that are available leave in one write.
const tapBuffer = 32 << 10

// tap streams frames, as [tap.Writer] describes, until the client disconnects, another viewer
// connects or the tunnel ends. It decodes nothing. It waits for a client that does not read;
// frames that pass meanwhile are dropped and counted.
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
	// Removes the deadlines of an ordinary response. Without them only the end of the
	// connection shows that the viewer has disconnected.
	_ = conn.SetReadDeadline(time.Time{})
	_ = conn.SetWriteDeadline(time.Time{})
	if r.Method == http.MethodHead {
		return
	}
	viewer := h.s.Tap.Watch(filter)
	h.s.log().Info("a viewer is watching frames", "bodies", filter.Bodies, "records", filter.Records)
	var watch sync.WaitGroup
	defer watch.Wait()
	defer viewer.Close()
	watch.Go(func() { // a blocked write does not notice that the viewer has ended
		<-viewer.Done()
		_ = conn.SetWriteDeadline(time.Now().Add(stopTimeout / 2))
	})
	// Only now: a client that has received the head of the response misses no frame.
	if conn.Flush() != nil {
		return
	}
	_ = streamFrames(r.Context(), w, conn, viewer) // the client to which an error could be reported is gone
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
			_ = messages.End(err.Error()) // the next write returns the error again
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

// Tap calls each with every message of the tunnel, until ctx ends, which is not an error, or
// each returns an error. ready is called once, when the tunnel starts sending frames.
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
			return fmt.Errorf("kafka-tunnel at %s has stopped", strings.TrimPrefix(c.BaseURL, "http://"))
		case errors.Is(err, tap.ErrFormat):
			return fmt.Errorf("kafka-tunnel at %s: %w", strings.TrimPrefix(c.BaseURL, "http://"), err)
		default:
			return c.unreachable(err)
		}
	}
}
