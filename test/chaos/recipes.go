package chaos

import (
	"time"

	"github.com/kafka-tunnel/kafka-tunnel/internal/lab/faults"
)

// A recipe generates the faults of one moment. Some kinds have no effect alone: a fault of the
// token service does not affect a client with a valid token.
type recipe struct {
	make func(d *draw, lasts time.Duration) []faults.Fault
	rest time.Duration // time that all clients need afterwards; such recipes are for long schedules

	// alone: no other fault at the same time. If a fault closes young connections cleanly while
	// another one delays their first response, each connection ends before a byte has arrived;
	// franz-go interprets that as refused authentication and gives its records up, with the
	// tunnel or without. How many records it had then is chance, so there is nothing to
	// compare.
	alone bool
}

// recipes returns all recipes, in the order of the hops.
func recipes() []recipe {
	one := func(make func(*draw) faults.Fault) recipe {
		return recipe{make: func(d *draw, _ time.Duration) []faults.Fault { return []faults.Fault{make(d)} }}
	}
	alone := func(r recipe) recipe { r.alone = true; return r }
	kind := func(k faults.Kind) recipe { return one(func(*draw) faults.Fault { return faults.Fault{Kind: k} }) }
	// token is a fault of the token service, at a time when a token is requested.
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
	// broken makes clients reconnect, for faults that affect only a handshake.
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
			return faults.Fault{Kind: faults.TokenLimit, Mode: refusal(d), Bytes: pick[int64](d, 100, 10_000)} // all tokens or none
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

// refusal returns one of the ways in which a proxy may refuse a token.
func refusal(d *draw) string {
	return pick(d, faults.ModeStatus, faults.ModeReply, faults.ModeEOF, faults.ModeReset)
}

// ending returns one of the ways in which an upstream service may close connections.
func ending(d *draw) string { return pick(d, faults.ModeFIN, faults.ModeReset) }

// tlsRecipes are the recipes for brokers with TLS.
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
