package realkafka

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// FreePorts returns n ports that are currently free on 127.0.0.1. They are below the range that
// kernels use for outgoing connections, so only another listener can take one before its owner
// binds it.
func FreePorts(n int) ([]int, error) {
	const first, last, attempts = 20000, 30000, 1000
	var found []int
	var held []net.Listener // kept open until all are found, so none is found twice
	defer func() {
		for _, l := range held {
			_ = l.Close()
		}
	}()
	var err error
	for range attempts {
		if len(found) == n {
			return found, nil
		}
		port := first + rand.IntN(last-first)
		l, listenErr := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if listenErr != nil {
			err = listenErr
			continue
		}
		held = append(held, l)
		found = append(found, port)
	}
	return nil, errors.Join(errors.New("realkafka: not enough free ports"), err)
}
