// Package token caches one OAuth token for all callers and keeps it fresh.
//
//	fetch, err := token.ClientCredentials(token.Credentials{
//		URL: "https://sub.authentication.eu10.hana.ondemand.com", ClientID: id, ClientSecret: secret,
//	})
//	...
//	source := token.New(fetch, token.Options{Logger: log})
//	go source.Run(ctx) // and wait for it at the end
//
//	value, err := source.Token(ctx)  // at each dial
//	source.Invalidate(value)         // when the proxy has refused it
//
// A [Source] is a cache in front of a [Fetcher]:
//
//   - One fetch is in flight at a time, however many callers wait for it. It
//     belongs to [Source.Run]; a caller who leaves ends only its own wait.
//   - A token is used until a little before its end (a tenth of its life, at most
//     a minute) by the wall clock, so that a laptop that slept notices.
//   - It is replaced in the background at a random point between 40 and 60 % of
//     its life, while it is in use. After an hour without a caller nothing is
//     fetched any more until a caller asks.
//   - When a fetch fails, the old token is used until it expires. Fetches are
//     paced: 0.25 s doubling to 10 s, 30 s after refused credentials, and never
//     earlier than a server's Retry-After.
//
// The reasons for a cache of our own, rather than that of x/oauth2: there a
// failing refresh takes a good token away, callers queue behind each other's
// requests, and the context of the first caller binds all.
//
// Errors are of type [*failure.Failure]. The package prints no token, no secret
// and nothing of what a token service answered but its status and error code.
// It does not check signatures: that is the proxy's business.
package token
