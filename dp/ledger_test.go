package dp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	bg      = context.Background()
	testKey = bytesOf(1, keySize)
)

func zcdp(t require.TestingT, rho float64) Cost {
	c, err := ZCDP(rho)
	require.NoError(t, err)
	return c
}

func limitsOf(t require.TestingT, querier, global float64) Limits {
	return Limits{Dataset: "ward", Querier: zcdp(t, querier), Global: zcdp(t, global)}
}

func create(t *testing.T, l Limits) (*Ledger, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ward.budget")
	ledger, err := Create(bg, path, testKey, l)
	require.NoError(t, err)
	t.Cleanup(func() { _ = ledger.Close() })
	return ledger, path
}

func open(t *testing.T, path string) *Ledger {
	t.Helper()
	l, err := Open(bg, path, testKey, Head{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// exactly is a callback for questions of the kinds that the tests ask.
func exactly(n int64) func(context.Context) (Exact, error) {
	return func(context.Context) (Exact, error) {
		return Exact{Count: n, Sum: 100 * n, Buckets: []int64{n, n, n, n}}, nil
	}
}

func never(t *testing.T) func(context.Context) (Exact, error) {
	return func(context.Context) (Exact, error) {
		t.Error("the exact values were computed")
		return Exact{}, errors.New("no")
	}
}

func spent(t *testing.T, l *Ledger, querier string) (q, g Cost) {
	t.Helper()
	b, err := l.Remaining(bg, querier)
	require.NoError(t, err)
	return l.limits.Querier.left(b.Querier), l.limits.Global.left(b.Global)
}

func TestReleaseOfEveryKind(t *testing.T) {
	l, path := create(t, limitsOf(t, 1, 2))
	var answers []Release
	queries := []Query{countQuery("x"), sumQuery("x"), meanQuery("x"), histogramQuery("x")}
	total := Cost{}
	for _, q := range queries {
		r, err := l.Release(bg, "ann", q, exactly(1000))
		require.NoError(t, err)
		plan, err := q.Plan()
		require.NoError(t, err)
		total, _ = total.plus(plan.Cost)
		require.Equal(t, plan.Cost, r.Cost)
		require.Equal(t, plan.Cost, r.Charged)
		require.Equal(t, plan.Noise, r.Noise)
		require.Equal(t, q.Kind, r.Kind)
		require.Equal(t, 0.95, r.Confidence)
		require.False(t, r.Cached)
		// More than 12 standard deviations of each Gaussian, and 250 t of the Laplace: wrong with probability below 1e-30.
		truth := map[Kind]float64{Count: 1000, Sum: 20_000, Mean: 20, Histogram: 1000}[q.Kind]
		slack := map[Kind]float64{Count: 1000, Sum: 8000, Mean: 8, Histogram: 60}[q.Kind]
		require.InDelta(t, truth, r.Values[len(r.Values)-1].Value, slack, q.Kind.String())
		answers = append(answers, r)
	}
	q, g := spent(t, l, "ann")
	require.Equal(t, total, q)
	require.Equal(t, total, g)
	head := l.Head()
	require.Equal(t, uint64(8), head.Seq)
	require.NoError(t, l.Close())
	require.NoError(t, l.Close(), "closing twice")
	_, err := l.Release(bg, "ann", queries[0], never(t))
	require.ErrorIs(t, err, os.ErrClosed)

	// After reopening: the same numbers, no charge, no computation.
	l, err = Open(bg, path, testKey, head)
	require.NoError(t, err)
	defer l.Close()
	require.Equal(t, head, l.Head())
	for i, q := range queries {
		r, err := l.Release(bg, "ann", q, never(t))
		require.NoError(t, err)
		require.True(t, r.Cached)
		require.Equal(t, Cost{}, r.Charged)
		want := answers[i]
		want.Cached, want.Charged = true, Cost{}
		require.Equal(t, want, r)
	}
	require.Equal(t, head, l.Head(), "free answers write nothing")

	// Another confidence is the same question.
	wide := queries[1]
	wide.Confidence = 0.999
	r, err := l.Release(bg, "ann", wide, never(t))
	require.NoError(t, err)
	require.Equal(t, answers[1].Values[0].Value, r.Values[0].Value)
	require.Less(t, r.Values[0].Low, answers[1].Values[0].Low)
}

func TestHitByAnotherQuerierChargesThatQuerierOnly(t *testing.T) {
	l, path := create(t, limitsOf(t, 0.05, 0.05))
	q := countQuery("x") // rho 1/32
	first, err := l.Release(bg, "ann", q, exactly(5))
	require.NoError(t, err)
	r, err := l.Release(bg, "bob", q, never(t))
	require.NoError(t, err)
	require.Equal(t, first.Noisy, r.Noisy)
	require.True(t, r.Cached)
	require.Equal(t, first.Cost, r.Charged)
	r, err = l.Release(bg, "bob", q, never(t))
	require.NoError(t, err)
	require.Equal(t, Cost{}, r.Charged, "paid before")
	for range 2 {
		own, global := spent(t, l, "bob")
		require.Equal(t, first.Cost, own)
		require.Equal(t, first.Cost, global)
		require.NoError(t, l.Close())
		l = open(t, path) // the same after replay
	}
	// Bob has 0.05 - 1/32 left of his own: not enough for ann's next answer, even if that exists.
	other := countQuery("y")
	_, err = l.Release(bg, "ann", other, never(t))
	var short *BudgetError
	require.ErrorAs(t, err, &short)
	require.Equal(t, &BudgetError{Querier: "ann", Need: first.Cost, Left: zcdp(t, 0.05).left(first.Cost)}, short)
	_, err = l.Release(bg, "carol", other, never(t))
	require.ErrorAs(t, err, &short)
	require.True(t, short.Global, "carol has a budget of her own, the cap is used up")
	require.Contains(t, err.Error(), "all queriers together")
	_, err = l.Release(bg, "carol", q, never(t))
	require.NoError(t, err, "an old answer costs nothing of the cap")
}

func TestCallbackErrors(t *testing.T) {
	l, path := create(t, limitsOf(t, 1, 1))
	q := countQuery("x")
	plan, err := q.Plan()
	require.NoError(t, err)
	boom := errors.New("boom")

	_, err = l.Release(bg, "ann", q, func(context.Context) (Exact, error) { return Exact{}, boom })
	require.ErrorIs(t, err, boom)
	own, global := spent(t, l, "ann")
	require.Equal(t, [2]Cost{}, [2]Cost{own, global}, "voided")

	_, err = l.Release(bg, "ann", q, func(context.Context) (Exact, error) { return Exact{}, fmt.Errorf("%w: %w", ErrKeepSpent, boom) })
	require.ErrorIs(t, err, boom)
	own, _ = spent(t, l, "ann")
	require.Equal(t, plan.Cost, own, "kept")

	_, err = l.Release(bg, "ann", q, exactly(-1))
	require.ErrorIs(t, err, errExact)
	require.NotContains(t, err.Error(), "-1")
	own, _ = spent(t, l, "ann")
	require.Equal(t, 2*plan.Cost.rho, own.rho, "values outside the bounds: kept")

	require.PanicsWithValue(t, "boom", func() {
		_, _ = l.Release(bg, "ann", q, func(context.Context) (Exact, error) { panic("boom") })
	})
	own, _ = spent(t, l, "ann")
	require.Equal(t, 3*plan.Cost.rho, own.rho, "panic: kept")

	// The context ends while the callback runs: its error voids, its success is still committed.
	ctx, cancel := context.WithCancel(bg)
	_, err = l.Release(ctx, "ann", q, func(ctx context.Context) (Exact, error) { cancel(); return Exact{}, ctx.Err() })
	require.ErrorIs(t, err, context.Canceled)
	own, _ = spent(t, l, "ann")
	require.Equal(t, 3*plan.Cost.rho, own.rho, "voided")
	ctx, cancel = context.WithCancel(bg)
	_, err = l.Release(ctx, "ann", q, func(context.Context) (Exact, error) { cancel(); return Exact{Count: 9}, nil })
	require.NoError(t, err)
	_, err = l.Release(ctx, "ann", q, never(t))
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, l.Close())

	own, global = spent(t, open(t, path), "ann")
	require.Equal(t, 4*plan.Cost.rho, own.rho)
	require.Equal(t, own, global)
}

// The reservation is durable before the callback starts: another opener of the file sees it from inside the callback.
func TestReserveIsOnDiskBeforeCompute(t *testing.T) {
	l, path := create(t, limitsOf(t, 1, 1))
	var seen Cost
	_, err := l.Release(bg, "ann", countQuery("x"), func(context.Context) (Exact, error) {
		seen, _ = spent(t, open(t, path), "ann")
		return Exact{Count: 1}, nil
	})
	require.NoError(t, err)
	require.Equal(t, laplaceCost(1<<18), seen)
}

func TestRefusals(t *testing.T) {
	l, path := create(t, limitsOf(t, 1, 1))
	head := l.Head()
	q := countQuery("x")
	_, err := l.Release(bg, "", q, never(t))
	require.ErrorIs(t, err, ErrInvalid)
	_, err = l.Release(bg, "ann\n", q, never(t))
	require.ErrorIs(t, err, ErrInvalid)
	_, err = l.Release(bg, "ann", q, nil)
	require.ErrorIs(t, err, ErrInvalid)
	q.Dataset = "other ward"
	_, err = l.Release(bg, "ann", q, never(t))
	require.ErrorIs(t, err, ErrInvalid)
	require.ErrorContains(t, err, "other ward")
	_, err = l.Remaining(bg, strings.Repeat("a", 201))
	require.ErrorIs(t, err, ErrInvalid)
	require.Equal(t, head, l.Head(), "nothing was written")

	_, err = Create(bg, path, testKey, limitsOf(t, 1, 1))
	require.ErrorIs(t, err, fs.ErrExist)
	require.ErrorContains(t, err, path)
	_, err = Open(bg, path+"x", testKey, Head{})
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = Create(bg, path+"x", testKey[:31], limitsOf(t, 1, 1))
	require.ErrorIs(t, err, ErrInvalid)
	_, err = Create(bg, path+"x", testKey, Limits{Dataset: "ward"})
	require.ErrorIs(t, err, ErrInvalid)
	bad := limitsOf(t, 1, 1)
	bad.SuppressBelow = -1
	_, err = Create(bg, path+"x", testKey, bad)
	require.ErrorIs(t, err, ErrInvalid)
	bad.SuppressBelow, bad.Dataset = 0, ""
	_, err = Create(bg, path+"x", testKey, bad)
	require.ErrorIs(t, err, ErrInvalid)
	left, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, left, 1, "no temporary file stays behind")
	_, err = Open(bg, path, bytesOf(2, keySize), Head{})
	require.ErrorIs(t, err, ErrDamaged, "another key")
	require.ErrorContains(t, err, path)
}

func TestLedgerPrintsNoSecrets(t *testing.T) {
	l, path := create(t, limitsOf(t, 1, 1))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q"} {
		require.Equal(t, "dp ledger "+path, fmt.Sprintf(verb, l))
	}
	var b strings.Builder
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "l", l)
	require.Contains(t, b.String(), "dp ledger "+path)
}

// Differencing: the answers to "all" and to "all but one" differ by independent noise, so repeating the pair gains nothing: the second
// time both come from the ledger. Averaging: asking 1000 times gives 1000 times the same number.
func TestDifferencingAndAveragingGainNothing(t *testing.T) {
	l, _ := create(t, limitsOf(t, 0.1, 0.1)) // room for three questions of 1/32
	all, others := countQuery("all"), countQuery("all and not bob")
	ask := func(q Query) int64 {
		r, err := l.Release(bg, "eve", q, exactly(50))
		require.NoError(t, err)
		return r.Noisy[0]
	}
	a, b := ask(all), ask(others)
	for range 500 {
		require.Equal(t, a, ask(all))
		require.Equal(t, b, ask(others))
	}
	// A question that differs in anything but confidence is a new one: it is charged, and soon refused.
	refused := 0
	for i := range uint64(10) {
		q := all
		q.DataVersion = i + 1
		if _, err := l.Release(bg, "eve", q, exactly(50)); err != nil {
			var short *BudgetError
			require.ErrorAs(t, err, &short)
			refused++
		}
	}
	require.Equal(t, 9, refused)
	// So does changing the name one asks under, once the cap over all is used up.
	q := all
	q.DataVersion = 99
	_, err := l.Release(bg, "eve's other name", q, never(t))
	var short *BudgetError
	require.ErrorAs(t, err, &short)
}

func TestEveryFieldIsPartOfTheQuestion(t *testing.T) {
	l, _ := create(t, limitsOf(t, 1, 1))
	base := sumQuery("x")
	seen := map[hash]string{}
	for name, change := range map[string]func(q *Query){
		"nothing": func(*Query) {}, "version": func(q *Query) { q.DataVersion++ }, "predicate": func(q *Query) { q.Predicate = "y" },
		"kind": func(q *Query) { q.Kind = Mean }, "column": func(q *Query) { q.Column = "x" }, "lo": func(q *Query) { q.Bounds.Lo++ },
		"hi": func(q *Query) { q.Bounds.Hi++ }, "scale": func(q *Query) { q.Bounds.Scale++ }, "rows": func(q *Query) { q.Unit.Rows++ },
		"rho": func(q *Query) { q.Rho *= 2 }, "mechanism": func(q *Query) { q.Rho, q.Epsilon = 0, 0.1 }, "data set": func(q *Query) { q.Dataset = "w" },
		"edges": func(q *Query) { *q = histogramQuery("x") }, "other edges": func(q *Query) { *q = histogramQuery("x"); q.Edges[1]++ },
		"groups": func(q *Query) { *q = histogramQuery("x"); q.Unit.Groups = 2 },
	} {
		q := base
		change(&q)
		p, err := q.Plan()
		require.NoError(t, err, name)
		k := l.keys.question(p.query)
		require.Empty(t, seen[k], name)
		seen[k] = name
	}
	q := base
	q.Confidence = 0.5
	p, err := q.Plan()
	require.NoError(t, err)
	require.Equal(t, "nothing", seen[l.keys.question(p.query)])
}

// 64 goroutines with distinct and equal questions: never overspent, nothing wasted, one answer to one question.
func TestBudgetUnder64Goroutines(t *testing.T) {
	l, path := create(t, limitsOf(t, 0.5, 1)) // 16 questions of 1/32 for each querier, 32 in all
	var computed, answered, refused atomic.Int64
	var mu sync.Mutex
	numbers := map[string]map[int64]bool{}
	var wg sync.WaitGroup
	for g := range 64 {
		wg.Go(func() {
			querier := fmt.Sprint("q", g%4)
			for i := range 4 {
				predicate := fmt.Sprintf("p%d-%d", g%4, (g+i)%32)
				r, err := l.Release(bg, querier, countQuery(predicate), func(context.Context) (Exact, error) {
					computed.Add(1)
					return Exact{Count: 1 << 30}, nil
				})
				var short *BudgetError
				switch {
				case err == nil:
					answered.Add(1)
					mu.Lock()
					if numbers[predicate] == nil {
						numbers[predicate] = map[int64]bool{}
					}
					numbers[predicate][r.Noisy[0]] = true
					mu.Unlock()
				case errors.As(err, &short):
					refused.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	require.Equal(t, int64(256), answered.Load()+refused.Load())
	require.Equal(t, int64(32), computed.Load(), "as many as the cap allows")
	for p, n := range numbers {
		require.Len(t, n, 1, p)
	}
	for range 2 {
		b, err := l.Remaining(bg, "q0")
		require.NoError(t, err)
		require.Equal(t, Cost{}, b.Global)
		l = open(t, path)
	}
}

func TestSameQuestionAtOnceIsChargedOnce(t *testing.T) {
	l, _ := create(t, limitsOf(t, 1, 1))
	var computed atomic.Int64
	var wg sync.WaitGroup
	inside, cont := make(chan struct{}), make(chan struct{})
	for i := range 16 {
		wg.Go(func() {
			if i > 0 {
				<-inside // while the first computes, the others ask
			}
			_, err := l.Release(bg, "ann", countQuery("x"), func(context.Context) (Exact, error) {
				if computed.Add(1) == 1 {
					close(inside)
					<-cont
				}
				return Exact{Count: 1 << 30}, nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	// One that gives up waiting does so without a trace.
	<-inside
	ctx, cancel := context.WithCancel(bg)
	cancel()
	_, err := l.Release(ctx, "ann", countQuery("x"), never(t))
	require.ErrorIs(t, err, context.Canceled)
	// Other questions do not wait.
	_, err = l.Release(bg, "ann", countQuery("y"), exactly(1))
	require.NoError(t, err)
	close(cont)
	wg.Wait()
	require.Equal(t, int64(1), computed.Load())
	own, _ := spent(t, l, "ann")
	require.Equal(t, 2*laplaceCost(1<<18).rho, own.rho)
}

// Two processes that work on one new question are both charged, and both get the answer that was written first.
func TestSameQuestionInTwoProcesses(t *testing.T) {
	a, path := create(t, limitsOf(t, 1, 1))
	b := open(t, path)
	var first Release
	late, err := a.Release(bg, "ann", countQuery("x"), func(context.Context) (Exact, error) {
		var err error
		first, err = b.Release(bg, "bob", countQuery("x"), exactly(1<<30))
		require.NoError(t, err)
		return Exact{Count: 1 << 35}, nil // as if the data had changed: must not be seen
	})
	require.NoError(t, err)
	require.Equal(t, first.Noisy, late.Noisy)
	require.True(t, late.Cached)
	require.Equal(t, late.Cost, late.Charged)
	unit := laplaceCost(1 << 18).rho
	for _, l := range []*Ledger{a, b, open(t, path)} {
		own, global := spent(t, l, "ann")
		require.Equal(t, [2]uint64{unit, 2 * unit}, [2]uint64{own.rho, global.rho})
		r, err := l.Release(bg, "ann", countQuery("x"), never(t))
		require.NoError(t, err)
		require.Equal(t, first.Noisy, r.Noisy)
	}
	// Even with a right MAC, the late answer cannot be added.
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	p, err := countQuery("x").Plan()
	require.NoError(t, err)
	r := a.keys.seal(record{seq: a.Head().Seq + 1, prev: a.Head().Hash, kind: typeCommit, query: a.keys.question(p.query)}, answer{1, []int64{7}}.append(nil))
	_, _, err = try(t, t.TempDir(), append(content, r.bytes()...), Head{})
	require.ErrorIs(t, err, ErrDamaged)
	require.ErrorContains(t, err, "second answer")
}

func TestSuppressionIsTheLedgersRule(t *testing.T) {
	limits := limitsOf(t, 1, 1)
	limits.SuppressBelow = 500
	l, _ := create(t, limits)
	r, err := l.Release(bg, "ann", countQuery("few"), exactly(0))
	require.NoError(t, err)
	require.Equal(t, []Estimate{{Suppressed: true}}, r.Values)
	require.Equal(t, []int64{0}, r.Noisy)
	r, err = l.Release(bg, "ann", countQuery("many"), exactly(1000)) // wrong with probability exp(-125)
	require.NoError(t, err)
	require.False(t, r.Values[0].Suppressed)
}
