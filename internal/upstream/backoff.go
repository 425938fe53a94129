package upstream

import (
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v5"
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

// nextPause returns the pause after one more failure of an outage of this age. ceilings
// are those of the outage, the zero value at its beginning.
func nextPause(ceilings *backoff.ExponentialBackOff, age time.Duration) time.Duration {
	ceilings.InitialInterval, ceilings.Multiplier, ceilings.MaxInterval = pauseFloor, 2, pauseYoung
	if age >= longOutage {
		ceilings.MaxInterval = pauseOld
	}
	ceiling := ceilings.NextBackOff()
	return pauseFloor + rand.N(ceiling-pauseFloor+1)
}
