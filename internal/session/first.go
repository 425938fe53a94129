package session

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

// httpAnswer is the response to an HTTP client on the Kafka port.
const httpAnswer = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"

// firstBytes waits for the head of the first request and refuses what is not
// Kafka, before anything is dialled (R9). io.EOF: the client left without a byte.
func (c *connection) firstBytes() error {
	p := &c.requests
	if _, err := p.Peek(1); err != nil {
		if errors.Is(err, io.EOF) {
			return err
		}
		return c.classify(err)
	}
	c.start = time.Now()
	p.InFrame(true)
	// Four bytes tell TLS and HTTP from Kafka. A TLS hello is answered at once:
	// its sender may wait for an answer before it sends more.
	head, err := p.Peek(kafka.SizeLen)
	if err != nil {
		return c.classify(p.Unexpected(err))
	}
	switch {
	case head[0] == 0x16 && head[1] == 0x03:
		return failure.New(failure.TLSOnPlainPort, nil)
	case isHTTP(head):
		body := failure.New(failure.HTTPOnKafkaPort, nil).Advice() + "\n"
		_ = c.client().SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = fmt.Fprintf(c.client(), httpAnswer, len(body), body)
		return failure.New(failure.HTTPOnKafkaPort, nil)
	}
	if size := frameSize(head); size < kafka.RequestHeaderLen || int64(size) > c.maxRequest() {
		return failure.New(failure.NotKafka, nil).With(fmt.Sprintf("first bytes % x", head[:kafka.SizeLen]))
	}
	if head, err = p.Peek(headLen); err != nil {
		return c.classify(p.Unexpected(err))
	}
	if startsBare(head[kafka.SizeLen:]) {
		c.bare.Store(true)
		return nil
	}
	if h, err := kafka.ParseRequestHeader(head[kafka.SizeLen:headLen]); err != nil || h.Key < 0 || h.Version < 0 {
		return failure.New(failure.NotKafka, err).With(fmt.Sprintf("first bytes % x", head[:headLen]))
	}
	return nil
}

// isHTTP reports whether b begins like an HTTP request line.
func isHTTP(b []byte) bool {
	for _, method := range []string{"GET ", "POST", "HEAD", "PUT ", "DELE", "OPTI", "PATC", "CONN", "TRAC"} {
		if bytes.HasPrefix(b, []byte(method)) {
			return true
		}
	}
	return false
}
