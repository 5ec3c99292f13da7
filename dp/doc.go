// Package dp releases statistics about patients with differential privacy, under a budget that survives concurrency, crashes and
// restarts. It is for the gateway of a data owner: analysts ("queriers") ask, the gateway computes the exact integers by whatever
// means it has, and only noisy answers leave.
//
// # What it promises
//
// The unit is the patient: data sets are neighbours if one has all rows of one patient more. Whatever queriers ask, adaptively and
// together, the answers to all of them are rho-zCDP with rho the ledger's global limit, those that one querier has paid for with
// rho that querier's limit; Cost.Epsilon says what that means as (epsilon, delta). This holds if the declared contribution bounds
// hold (BoundContributions), if predicates are what the next section asks for, and if the file is not replaced by an older copy
// (anchor Head to notice that). Limits do not refill.
//
// Noise is drawn exactly, from integers, by the algorithms of Canonne, Kamath and Steinke (2020). Floating point is used for reports
// and intervals only: never to draw noise, to decide about a budget, or on exact values.
//
// A charge is on disk before the exact values are computed, and an answer is on disk before it is returned. The same question gets
// the same answer, for ever and across restarts, so asking again averages nothing out.
//
// # Predicates
//
// Query.Predicate is free text to this package, and the gateway answers for what it means. It must decide about each patient by
// that patient's own rows and by public constants: codes, dates, values, age, and, or, not. Then a filter that isolates one
// patient is harmless. It must not be, or depend on: a list of rows or patients, the result of another query, a rank, a top-k, a limit, a
// sample, an average or quantile of the data, or whether a search was too broad. Write it in one canonical form: two spellings of one
// question are two questions, each charged. Never put a hash of the row set in it: that "X" and "X and not Bob" get the same
// noise would show that Bob is not in X.
//
// # Leakage
//
// To queriers: the noisy answers, the limits, what is left, and that a question was answered before. To who reads the disk without
// the key: how many questions were asked and when, their costs, which records belong to one question, and the rough size of names,
// predicates and answers. To who watches the clock: how long compute took, and the time to draw a batch of noise of which the answer
// uses a part.
//
// # Not protected
//
// Whoever holds the ledger key or runs the gateway sees the exact values. An old copy of the file put back between two anchors
// forgets what was spent between them. Text of errors from compute is exact data to a querier who gets to see it. Intervals cover
// the noise only, not the sampling error. Several patients together (a family, an outbreak) are protected less, by the size of the
// group. Several hospitals that hold the same patient each have their own ledger; their costs add up.
//
// # Example
//
//	limit, err := dp.EpsilonDelta(1, 1e-6)
//	...
//	ledger, err := dp.Create(ctx, "ward.budget", key, dp.Limits{Dataset: "ward", Querier: limit, Global: limit})
//	...
//	defer ledger.Close()
//	q := dp.Query{Dataset: "ward", Predicate: "code = obesity", Kind: dp.Count, Unit: dp.Contribution{Rows: 1}, Epsilon: 0.25}
//	release, err := ledger.Release(ctx, "researcher@example.org", q, func(ctx context.Context) (dp.Exact, error) {
//		return dp.Exact{Count: 42}, nil // from he, say
//	})
//	...
//	fmt.Println(release.Values[0].Low, release.Values[0].High)
//
// Mechanisms, formulas and the file format are in docs/spec/dp.md.
package dp
