// Package destination reads destinations: what the destination service of BTP keeps
// under a name, as an administrator has written it in the cockpit.
//
//	client := &destination.Client{URI: uri, Tokens: source}
//	watch := destination.NewWatch(func(ctx context.Context) error {
//		said, err := client.Find(ctx, "kafka")   // map[string]string{"Type": "TCP", "Address": "kafka-1.corp:9092", ...}
//		...                                      // use it
//		return err
//	}, destination.Options{})
//	go watch.Run(ctx)                            // and wait for it at the end
//	watch.Used()                                 // at each dial
//
// A [Watch] reads again every five minutes, give or take a fifth, while the destination
// is in use (SAP help, "Resilience Recommendations": cache for 3 to 5 minutes, and
// serve what has expired in an outage). What it was read into serves on when a read
// fails.
//
// What a destination means is not known here; its values are never printed, because
// they may be secrets.
package destination
