package chaos

import (
	"strings"
	"sync"
)

// A notebook keeps what two runs tell.
type notebook struct {
	mu   sync.Mutex
	list []string
}

func (n *notebook) add(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = append(n.list, text)
}

func (n *notebook) text() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return strings.Join(n.list, "\n")
}
