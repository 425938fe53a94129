package socks

import (
	"bytes"
	"strings"
	"testing"

	"github.com/kafka-tunnel/kafka-tunnel/internal/failure"
)

// TestOtherWaysToAuthenticate compares what is written with RFC 1928 and RFC 1929.
func TestOtherWaysToAuthenticate(t *testing.T) {
	connect := append([]byte{5, 1, 0, 3, 12}, "kafka-1.corp\x23\x84"...)
	reply := []byte{5, 0, 0, 1, 10, 0, 0, 1, 0x23, 0x84}
	answers := func(first ...byte) []byte { return append(first, reply...) }
	password := append([]byte{1, 4}, "user\x06s3cr3t"...)
	for _, tt := range []struct {
		name    string
		req     Request
		answers []byte
		writes  [][]byte
		code    failure.Code
	}{
		{"none", Request{Auth: None}, answers(5, 0), [][]byte{{5, 1, 0}, connect}, ""},
		{"none, the token of an earlier life is not sent", Request{Auth: None, Token: secretToken}, answers(5, 0), [][]byte{{5, 1, 0}, connect}, ""},
		{"none, refused", Request{Auth: None}, []byte{5, 0xff}, [][]byte{{5, 1, 0}}, failure.ProxyMethodRefused},
		{"none, another chosen", Request{Auth: None}, []byte{5, 0x80}, [][]byte{{5, 1, 0}}, failure.ProxyMethodRefused},
		{"password", Request{Auth: Password, User: "user", Password: "s3cr3t"}, answers(5, 2, 1, 0), [][]byte{{5, 1, 2}, password, connect}, ""},
		{"empty password", Request{Auth: Password, User: "u"}, answers(5, 2, 1, 0), [][]byte{{5, 1, 2}, {1, 1, 'u', 0}, connect}, ""},
		{"password, wrong", Request{Auth: Password, User: "user", Password: "s3cr3t"}, []byte{5, 2, 1, 1}, [][]byte{{5, 1, 2}, password}, failure.ProxyAuthRefused},
		{"the longest", Request{Auth: Password, User: strings.Repeat("u", 255), Password: strings.Repeat("p", 255)}, answers(5, 2, 1, 0),
			[][]byte{{5, 1, 2}, []byte("\x01\xff" + strings.Repeat("u", 255) + "\xff" + strings.Repeat("p", 255)), connect}, ""},
		{"a user too long", Request{Auth: Password, User: strings.Repeat("u", 256)}, nil, nil, failure.Internal},
		{"a password too long", Request{Auth: Password, User: "u", Password: strings.Repeat("p", 256)}, nil, nil, failure.Internal},
		{"no user", Request{Auth: Password}, nil, nil, failure.Internal},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.req.Host, tt.req.Port, tt.req.Proxy = "kafka-1.corp", 9092, testProxy
			s := &script{answers: tt.answers}
			err := Connect(t.Context(), s, tt.req)
			f, ok := failure.As(err)
			if tt.code == "" && err != nil || tt.code != "" && (!ok || f.Code != tt.code) {
				t.Fatalf("%v, want %s", err, tt.code)
			}
			if err != nil && strings.Contains(err.Error(), "s3cr3t") {
				t.Errorf("%v", err)
			}
			if len(s.writes) != len(tt.writes) {
				t.Fatalf("%d messages, want %d: % x", len(s.writes), len(tt.writes), s.writes)
			}
			for i := range s.writes {
				if !bytes.Equal(s.writes[i], tt.writes[i]) {
					t.Errorf("message %d is % x, want % x", i, s.writes[i], tt.writes[i])
				}
			}
		})
	}
}
