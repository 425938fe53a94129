// Package destination reads destinations: named entries of BTP's destination service, which an
// administrator maintains in the cockpit.
//
//	client := &destination.Client{URI: uri, Tokens: source}
//	watch := destination.NewWatch(func(ctx context.Context) error {
//		properties, err := client.Find(ctx, "kafka")   // map[string]string{"Type": "TCP", "Address": "kafka-1.corp:9092", ...}
//		...                                      // use it
//		return err
//	}, destination.Options{})
//	go watch.Run(ctx)                            // and wait for it at the end
//	watch.Used()                                 // at each dial
//
// A [Watch] repeats the read every five minutes, plus or minus a fifth, while the destination
// is in use (SAP Help, "Resilience Recommendations": cache for 3 to 5 minutes, and use expired
// values in an outage). If a read fails, the previous result remains in use.
//
// The package does not interpret a destination. It never prints its values, because they may be
// secrets.
package destination
