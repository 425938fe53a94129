package chaos

import (
	"fmt"
	"testing"
)

// deliver gives a member records of partition 0.
func deliver(d *Delivery, member int, offsets ...int64) {
	for _, o := range offsets {
		d.Got(member, 0, o, fmt.Append(nil, o))
	}
}

// five is a topic with five records.
func five() Log {
	log := Log{}
	for o := range int64(5) {
		log[0] = append(log[0], Value{Offset: o, Bytes: fmt.Append(nil, o)})
	}
	return log
}

func TestDelivery(t *testing.T) {
	for _, tt := range []struct {
		name        string
		what        func(*Delivery)
		want        string
		redelivered int
	}{
		{"good", func(d *Delivery) { deliver(d, 1, 0, 1, 2, 3, 4) }, "", 0},
		{"redelivered after a rebalance", func(d *Delivery) {
			deliver(d, 1, 0, 1, 2)
			d.Assigned(2, []int32{0})
			deliver(d, 2, 1, 2, 3, 4)
		}, "", 2},
		{"redelivered to the same member", func(d *Delivery) {
			deliver(d, 1, 0, 1, 2)
			d.Assigned(1, []int32{0})
			deliver(d, 1, 2, 3, 4)
		}, "", 1},
		{"twice without a rebalance", func(d *Delivery) { deliver(d, 1, 0, 1, 2, 2, 3, 4) }, "without a rebalance", 1},
		{"out of order", func(d *Delivery) {
			deliver(d, 1, 0, 1, 2, 3)
			d.Assigned(1, []int32{1})
			deliver(d, 1, 2, 3, 4)
		}, "without a rebalance", 2},
		{"never delivered", func(d *Delivery) { deliver(d, 1, 0, 1, 2, 3) }, "was never delivered", 0},
		{"other bytes", func(d *Delivery) {
			deliver(d, 1, 0, 1, 2, 3)
			d.Got(1, 0, 4, []byte("x"))
		}, "with other bytes", 0},
		{"other bytes the second time", func(d *Delivery) {
			deliver(d, 1, 0, 1, 2, 3, 4)
			d.Assigned(2, []int32{0})
			d.Got(2, 0, 4, []byte("x"))
		}, "again with other bytes", 1},
		{"more than there is", func(d *Delivery) { deliver(d, 1, 0, 1, 2, 3, 4, 5) }, "not in the topic", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := NewDelivery()
			d.Assigned(1, []int32{0})
			tt.what(d)
			expect(t, d.Check(five()), tt.want)
			if d.Redelivered() != tt.redelivered {
				t.Errorf("%d redelivered", d.Redelivered())
			}
		})
	}
}

// TestGap: a gap is seen when it comes, and again at the end unless somebody
// delivers what is missing.
func TestGap(t *testing.T) {
	d := NewDelivery()
	deliver(d, 1, 0, 1, 3, 4)
	expect(t, d.Problems(), "had only reached 1")
	if problems := d.Check(five()); len(problems) != 2 {
		t.Errorf("%q", problems)
	}
}

func TestCheckLag(t *testing.T) {
	expect(t, CheckLag("g", map[int32]int64{0: 5}, map[int32]int64{0: 5}), "")
	expect(t, CheckLag("g", map[int32]int64{0: 4}, map[int32]int64{0: 5}), "committed up to 4 of 5")
	expect(t, CheckLag("g", nil, map[int32]int64{0: 5}), "committed up to 0 of 5")
}
