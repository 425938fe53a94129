package upstream

import (
	"math/rand/v2"
	"time"
)

// The pauses between attempts that meet trouble (R11): a random time between the
// floor and a ceiling that doubles from the floor, up to one limit in the first
// minute of an outage and another one later.
const (
	pauseFloor = 250 * time.Millisecond
	pauseYoung = 1500 * time.Millisecond
	pauseOld   = 10 * time.Second
	longOutage = time.Minute
)

// A backoff makes these pauses.
type backoff struct{ ceiling time.Duration }

// next returns the pause after one more failure of an outage of this age.
func (b *backoff) next(age time.Duration) time.Duration {
	limit := pauseYoung
	if age >= longOutage {
		limit = pauseOld
	}
	b.ceiling = min(max(2*b.ceiling, pauseFloor), limit)
	if b.ceiling == pauseFloor {
		return pauseFloor
	}
	return pauseFloor + rand.N(b.ceiling-pauseFloor)
}
