package session

import (
	"testing"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
	"github.com/kafka-tunnel/kafka-tunnel/internal/kafka"
)

const (
	handshakeOK      = "\x00\x00\x00\x00\x00\x01\x00\x05PLAIN"
	handshakeRefused = "\x00\x21\x00\x00\x00\x01\x00\x05PLAIN" // UNSUPPORTED_SASL_MECHANISM
)

func handshakeRequest(version int16, correlation int32) []byte {
	return request(kafka.KeySaslHandshake, version, correlation, "\x00\x05PLAIN")
}

func TestBareTokensAfterAHandshakeInVersion0(t *testing.T) {
	tests := []struct {
		name   string
		tokens []string // of the client
		answer []string // of the broker; "-": none
	}{
		{"PLAIN", []string{"\x00user\x00secret"}, []string{""}},
		{"SCRAM", []string{"n,,n=user,r=abc", "c=biws,r=abcdef,p=xyz"}, []string{"r=abcdef,s=QQ==,i=4096", "v=abc"}},
		{"GSSAPI, last token without an answer", []string{"\x60\x48\x06\x06rest", "", "\x60\x05end"}, []string{"\x60\x01", "more", "-"}},
		{"a token that looks like a request in an unknown version", []string{"\x00\x03\x7f\x00\x00\x00\x00\x09rest"}, []string{"ok"}},
		{"empty tokens", []string{"", ""}, []string{"", ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := start(t, nil, nil)
			write(t, b.client, handshakeRequest(0, 1))
			expect(t, b.broker, handshakeRequest(0, 1))
			write(t, b.broker, response(1, handshakeOK))
			expect(t, b.client, response(1, handshakeOK))
			for i, token := range tt.tokens {
				write(t, b.client, bare(token))
				expect(t, b.broker, bare(token))
				if tt.answer[i] != "-" {
					write(t, b.broker, bare(tt.answer[i]))
					expect(t, b.client, bare(tt.answer[i]))
				}
			}
			// After the tokens the client sends requests again, and their responses are
			// rewritten.
			write(t, b.client, request(kafka.KeyMetadata, 1, 7, ""))
			expect(t, b.broker, request(kafka.KeyMetadata, 1, 7, ""))
			write(t, b.broker, metadata(7, realName, 9092, 1))
			expect(t, b.client, metadata(7, "localhost", 19101, 1))
			// Then the client authenticates again on the same connection (KIP-368).
			write(t, b.client, handshakeRequest(0, 8))
			expect(t, b.broker, handshakeRequest(0, 8))
			write(t, b.broker, response(8, handshakeOK))
			expect(t, b.client, response(8, handshakeOK))
			write(t, b.client, bare("again"))
			expect(t, b.broker, bare("again"))
			write(t, b.broker, bare("fine"))
			expect(t, b.client, bare("fine"))
		})
	}
}

func TestARefusedHandshakeIsFollowedByRequests(t *testing.T) {
	b := start(t, nil, nil)
	write(t, b.client, handshakeRequest(0, 1))
	expect(t, b.broker, handshakeRequest(0, 1))
	write(t, b.broker, response(1, handshakeRefused))
	expect(t, b.client, response(1, handshakeRefused))
	write(t, b.client, []byte{0, 0, 0, 2, 'h', 'i'}) // a bare token is not valid here
	if s := <-b.over; !failure.Is(s.Err, failure.BadFrame) {
		t.Errorf("summary %+v", s)
	}
}

func TestHandshakeInVersion1IsFollowedByRequests(t *testing.T) {
	b := start(t, nil, nil)
	for correlation := int32(1); correlation < 10; correlation += 3 { // repeated, as with re-authentication
		asked := [][]byte{handshakeRequest(1, correlation), request(kafka.KeySaslAuthenticate, 2, correlation+1, "token"), request(heartbeat, 0, correlation+2, "")}
		write(t, b.client, asked...)
		expect(t, b.broker, asked...)
		answers := [][]byte{response(correlation, handshakeOK), response(correlation+1, "done"), response(correlation+2, "")}
		write(t, b.broker, answers...)
		expect(t, b.client, answers...)
	}
}

func TestAKafka09ClientStartsWithAGSSAPIToken(t *testing.T) {
	b := start(t, nil, nil)
	first := bare("\x60\x82\x90\x01\x06\x09kerberos ticket")
	write(t, b.client, first)
	expect(t, b.broker, first)
	write(t, b.broker, bare("\x60answer"))
	expect(t, b.client, bare("\x60answer"))
	write(t, b.client, request(kafka.KeyMetadata, 1, 1, ""))
	expect(t, b.broker, request(kafka.KeyMetadata, 1, 1, ""))
	write(t, b.broker, metadata(1, realName, 9092, 1))
	expect(t, b.client, metadata(1, "localhost", 19101, 1))
}

func TestABareTokenHasASizeLimit(t *testing.T) {
	b := start(t, func(h *Handler) { h.MaxRequest = 1000 }, nil)
	write(t, b.client, handshakeRequest(0, 1))
	expect(t, b.broker, handshakeRequest(0, 1))
	write(t, b.broker, response(1, handshakeOK))
	expect(t, b.client, response(1, handshakeOK))
	write(t, b.client, []byte{0x7f, 0, 0, 0})
	if s := <-b.over; !failure.Is(s.Err, failure.BadFrame) {
		t.Errorf("summary %+v", s)
	}
}

func TestATooNewRequestNamesTheClient(t *testing.T) {
	b := start(t, nil, nil)
	hello := request(kafka.KeyApiVersions, 3, 1, "\x00\x12apache-kafka-java\x064.9.0\x00")
	write(t, b.client, hello)
	expect(t, b.broker, hello)
	write(t, b.client, request(kafka.KeyMetadata, 14, 2, ""))
	s := <-b.over
	want := "Metadata version 14, the highest supported is 13, client apache-kafka-java 4.9.0"
	if f, ok := failure.As(s.Err); !ok || f.Code != failure.VersionTooNew || f.Detail != want {
		t.Errorf("summary %+v, want the detail %q", s, want)
	}
}
