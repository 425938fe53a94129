package chaos

import (
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
)

// A recipe makes the faults of one moment. Some kinds show nothing alone: what
// the token service does is of no interest to anybody who has a good token.
type recipe struct {
	make func(d *draw, lasts time.Duration) []faults.Fault
	rest time.Duration // time that everybody needs afterwards; such recipes are for long schedules

	// alone: nothing else happens meanwhile. A landscape that ends young
	// connections in good order, beside a fault that keeps their first answer
	// back, ends each before anything has come; franz-go takes that for a
	// refused authentication and gives its records up, tunnel or not. How many
	// it had in hand then is chance, and there is nothing to compare.
	alone bool
}

// recipes returns all of them, in the order of the hops.
func recipes() []recipe {
	one := func(make func(*draw) faults.Fault) recipe {
		return recipe{make: func(d *draw, _ time.Duration) []faults.Fault { return []faults.Fault{make(d)} }}
	}
	alone := func(r recipe) recipe { r.alone = true; return r }
	kind := func(k faults.Kind) recipe { return one(func(*draw) faults.Fault { return faults.Fault{Kind: k} }) }
	// token is a fault of the token service, at a time when somebody asks it.
	token := func(make func(*draw) faults.Fault) recipe {
		return recipe{make: func(d *draw, _ time.Duration) []faults.Fault {
			list := []faults.Fault{make(d)}
			if d.IntN(2) == 0 {
				list = append(list, faults.Fault{Kind: faults.TokenRevoked})
			}
			return list
		}}
	}
	revoked := faults.Fault{Kind: faults.TokenRevoked}
	reply := func(d *draw) faults.Fault {
		return faults.Fault{Kind: faults.ConnectReply, Reply: pick(d, 1, 2, 3, 4), Target: d.target()}
	}
	// broken makes clients connect anew, for faults that only a handshake meets.
	broken := func(make func(*draw) []faults.Fault) recipe {
		return recipe{make: func(d *draw, _ time.Duration) []faults.Fault {
			return append(make(d), faults.Fault{Kind: faults.LinkReset, Target: d.target()})
		}}
	}
	handshake := func(make func(*draw) faults.Fault) recipe {
		return broken(func(d *draw) []faults.Fault { return []faults.Fault{make(d)} })
	}
	return []recipe{
		token(func(*draw) faults.Fault { return faults.Fault{Kind: faults.TokenDown} }),
		token(func(d *draw) faults.Fault {
			return faults.Fault{Kind: faults.TokenSlow, Delay: faults.Duration(pick(d, 0, d.between(grid, 2*time.Second)))}
		}),
		token(func(d *draw) faults.Fault {
			return faults.Fault{Kind: faults.TokenStatus, Status: 429, RetryAfter: pick(d, "", "1", "2")}
		}),
		token(func(d *draw) faults.Fault {
			return faults.Fault{Kind: faults.TokenStatus, Status: pick(d, 500, 502, 503, 504)}
		}),
		{
			make: func(d *draw, _ time.Duration) []faults.Fault {
				return []faults.Fault{{Kind: faults.TokenStatus, Status: pick(d, 401, 403)}}
			},
			rest: 15 * time.Second, // wrong credentials are not tried again for thirty seconds
		},
		token(func(d *draw) faults.Fault { return faults.Fault{Kind: faults.TokenHTML, Status: pick(d, 0, 200, 503)} }),
		token(func(*draw) faults.Fault { return faults.Fault{Kind: faults.TokenError} }),
		token(func(d *draw) faults.Fault {
			return faults.Fault{Kind: faults.TokenHuge, Bytes: pick[int64](d, 0, 70_000)}
		}),
		token(func(*draw) faults.Fault { return faults.Fault{Kind: faults.TokenEmpty} }),
		token(func(*draw) faults.Fault { return faults.Fault{Kind: faults.TokenNoExpiry} }),
		broken(func(*draw) []faults.Fault { return []faults.Fault{revoked} }),

		kind(faults.ProxyDown),
		handshake(func(d *draw) faults.Fault {
			return faults.Fault{Kind: faults.ProxySilent, Mode: pick(d, faults.ModeAccept, faults.ModeGreet, faults.ModeAuth, faults.ModeConnect)}
		}),
		handshake(func(*draw) faults.Fault { return faults.Fault{Kind: faults.ProxyRubbish} }),
		handshake(func(*draw) faults.Fault { return faults.Fault{Kind: faults.MethodRefused} }),
		handshake(func(d *draw) faults.Fault { return faults.Fault{Kind: faults.AuthRefused, Mode: refusal(d)} }),
		broken(func(d *draw) []faults.Fault {
			return []faults.Fault{{Kind: faults.BadToken, Mode: refusal(d)}, revoked}
		}),
		handshake(func(d *draw) faults.Fault {
			return faults.Fault{Kind: faults.TokenLimit, Mode: refusal(d), Bytes: pick[int64](d, 100, 10_000)} // all or none
		}),
		handshake(reply),
		handshake(reply), // twice: there are four of them
		broken(func(d *draw) []faults.Fault { return []faults.Fault{{Kind: faults.ShortReply}, reply(d)} }),
		handshake(func(d *draw) faults.Fault {
			return faults.Fault{Kind: faults.BindAddress, Mode: pick(d, faults.ModeDomain, faults.ModeIPv6), Target: d.target()}
		}),
		handshake(func(d *draw) faults.Fault {
			return faults.Fault{Kind: faults.Coalesce, Delay: faults.Duration(d.between(grid, 200*time.Millisecond))}
		}),
		handshake(func(d *draw) faults.Fault {
			return faults.Fault{Kind: faults.HandshakeTrickle, Delay: faults.Duration(d.between(grid, 30*time.Millisecond))}
		}),
		handshake(func(d *draw) faults.Fault {
			return faults.Fault{Kind: faults.HandshakeSlow, Delay: faults.Duration(pick(d, 0, d.between(grid, time.Second)))}
		}),

		kind(faults.ConnectorAway),
		{make: func(_ *draw, lasts time.Duration) []faults.Fault {
			return []faults.Fault{{Kind: faults.ConnectorFailover, For: faults.Duration(lasts)}}
		}},
		handshake(func(d *draw) faults.Fault { return faults.Fault{Kind: faults.AccessRemoved, Target: d.target()} }),
		one(func(d *draw) faults.Fault { return faults.Fault{Kind: faults.BrokerDown, Target: d.target()} }),
		handshake(func(d *draw) faults.Fault { return faults.Fault{Kind: faults.ConnectionLimit, Limit: 1 + d.IntN(20)} }),

		one(func(d *draw) faults.Fault { return faults.Fault{Kind: faults.LinkReset, Target: d.target()} }),
		one(func(d *draw) faults.Fault {
			return faults.Fault{Kind: faults.ResetAfter, Target: d.target(), Count: pick(d, 0, 0, 1, 3), Bytes: d.Int64N(pick[int64](d, 100, 5_000, 100_000)), Direction: d.direction()}
		}),
		one(func(d *draw) faults.Fault {
			return faults.Fault{Kind: faults.Stall, Target: d.target(), Count: pick(d, 0, 0, 0, 1), Direction: d.direction()}
		}),
		one(func(d *draw) faults.Fault {
			return faults.Fault{Kind: faults.Trickle, Target: d.target(), Direction: d.direction(), Delay: faults.Duration(pick(d, 0, d.between(grid/10, grid)))}
		}),
		one(func(d *draw) faults.Fault {
			return faults.Fault{Kind: faults.Latency, Target: d.target(), Direction: d.direction(), Delay: faults.Duration(d.between(5*time.Millisecond, 300*time.Millisecond))}
		}),
		one(func(d *draw) faults.Fault {
			return faults.Fault{Kind: faults.Bandwidth, Target: d.target(), Direction: d.direction(), Rate: 10_000 + d.Int64N(300_000)}
		}),

		one(func(d *draw) faults.Fault {
			return faults.Fault{Kind: faults.HalfClose, Mode: ending(d), Direction: d.direction()}
		}),
		alone(one(func(d *draw) faults.Fault {
			return faults.Fault{Kind: faults.IdleCut, Mode: ending(d), Target: d.target(), Delay: faults.Duration(d.between(100*time.Millisecond, time.Second))}
		})),
		alone(one(func(d *draw) faults.Fault {
			return faults.Fault{Kind: faults.LifetimeCut, Mode: ending(d), Target: d.target(), Delay: faults.Duration(d.between(100*time.Millisecond, 3*time.Second))}
		})),
		one(func(d *draw) faults.Fault {
			return faults.Fault{Kind: faults.ExpiryCut, Mode: ending(d), Target: d.target()}
		}),
	}
}

// refusal returns one of the ways in which a proxy may say no to a token.
func refusal(d *draw) string {
	return pick(d, faults.ModeStatus, faults.ModeReply, faults.ModeEOF, faults.ModeReset)
}

// ending returns one of the ways in which the landscape may end connections.
func ending(d *draw) string { return pick(d, faults.ModeFIN, faults.ModeReset) }

// tlsRecipes are those for brokers that want TLS.
func tlsRecipes() []recipe {
	var list []recipe
	for _, k := range faults.Kinds() {
		if k.Kind != faults.BrokerTLS {
			continue
		}
		for _, mode := range k.Modes {
			list = append(list, recipe{make: func(d *draw, _ time.Duration) []faults.Fault {
				target := d.target()
				return []faults.Fault{{Kind: faults.BrokerTLS, Mode: mode, Target: target}, {Kind: faults.LinkReset, Target: target}}
			}})
		}
	}
	return list
}
