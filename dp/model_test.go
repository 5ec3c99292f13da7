package dp

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"pgregory.net/rapid"
)

// model is what a ledger should do, in a few lines: three processes share the file, and it is compared after each step.
type model struct {
	dir     string
	path    string
	open    [3]*Ledger
	limits  Limits
	querier map[string]uint64
	global  uint64
	answers map[string][]int64
	paid    map[string]bool // querier and question
	heads   []Head
}

func (m *model) ledger(t *rapid.T) *Ledger { return m.open[rapid.IntRange(0, 2).Draw(t, "process")] }

func (m *model) ask(t *rapid.T) {
	l := m.ledger(t)
	who := rapid.SampledFrom([]string{"ann", "bob", "carol"}).Draw(t, "querier")
	q := rapid.SampledFrom([]Query{countQuery("x"), countQuery("y"), meanQuery("x"), sumQuery("z"), histogramQuery("x"), histogramQuery("y")}).Draw(t, "question")
	q.DataVersion = rapid.Uint64Range(0, 2).Draw(t, "version")
	q.Confidence = rapid.SampledFrom([]float64{0, 0.9}).Draw(t, "confidence")
	outcome := rapid.SampledFrom([]string{"works", "works", "works", "fails", "has sent", "is wrong"}).Draw(t, "computation")
	plan, err := q.Plan()
	if err != nil {
		t.Fatal(err)
	}
	cost := plan.Cost.rho
	question := fmt.Sprint(q.Kind, q.Predicate, q.DataVersion)
	boom := errors.New("boom")
	computed := false
	r, err := l.Release(bg, who, q, func(context.Context) (Exact, error) {
		computed = true
		switch outcome {
		case "fails":
			return Exact{}, boom
		case "has sent":
			return Exact{}, fmt.Errorf("%w %w", ErrKeepSpent, boom)
		case "is wrong":
			return Exact{Count: -1}, nil
		}
		return Exact{Count: 30, Sum: 900, Buckets: []int64{1, 2, 3, 4}}, nil
	})

	stored, answered := m.answers[question]
	paid := m.paid[who+question]
	wantError := func(ok bool) {
		if !ok {
			t.Fatalf("%s, %s, %s: %v", who, question, outcome, err)
		}
	}
	var short *BudgetError
	switch {
	case answered && paid:
		wantError(err == nil && r.Charged == Cost{} && r.Cached)
	case m.querier[who]+cost > m.limits.Querier.rho:
		wantError(errors.As(err, &short) && !short.Global && short.Left.rho == m.limits.Querier.rho-m.querier[who])
		return
	case answered:
		m.querier[who] += cost
		m.paid[who+question] = true
		wantError(err == nil && r.Charged == plan.Cost && r.Cached)
	case m.global+cost > m.limits.Global.rho:
		wantError(errors.As(err, &short) && short.Global)
		return
	case outcome == "fails":
		wantError(errors.Is(err, boom))
		return
	default:
		m.querier[who] += cost
		m.global += cost
		m.paid[who+question] = true
		switch outcome {
		case "has sent":
			wantError(errors.Is(err, boom))
			return
		case "is wrong":
			wantError(errors.Is(err, errExact))
			return
		}
		wantError(err == nil && !r.Cached && r.Charged == plan.Cost && computed)
		m.answers[question] = r.Noisy
	}
	if computed == answered {
		t.Fatal("computed although answered, or the other way round")
	}
	if answered && fmt.Sprint(stored) != fmt.Sprint(r.Noisy) {
		t.Fatal("two answers to one question")
	}
	m.heads = append(m.heads, l.Head())
}

func (m *model) reopen(t *rapid.T) {
	i := rapid.IntRange(0, 2).Draw(t, "process")
	anchor := Head{}
	if len(m.heads) > 0 && rapid.Bool().Draw(t, "anchored") {
		anchor = rapid.SampledFrom(m.heads).Draw(t, "anchor")
	}
	if err := m.open[i].Close(); err != nil {
		t.Fatal(err)
	}
	var err error
	if m.open[i], err = Open(bg, m.path, testKey, anchor); err != nil {
		t.Fatal(err)
	}
}

// tear leaves the beginning of a record at the end of the file, as a process that died while writing.
func (m *model) tear(t *rapid.T) {
	l := m.ledger(t)
	b, err := l.Remaining(bg, "ann") // reads all there is
	_ = b
	if err != nil {
		t.Fatal(err)
	}
	r := l.keys.seal(record{seq: l.next, prev: l.prev, kind: typeVoid}, appendVoid(nil, 1)).bytes()
	f, err := os.OpenFile(m.path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(r[:rapid.IntRange(1, len(r)-1).Draw(t, "bytes")]); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func (m *model) check(t *rapid.T) {
	for _, l := range m.open {
		for _, who := range []string{"ann", "bob", "carol"} {
			b, err := l.Remaining(bg, who)
			if err != nil {
				t.Fatal(err)
			}
			if b.Querier.rho != m.limits.Querier.rho-m.querier[who] || b.Global.rho != m.limits.Global.rho-m.global {
				t.Fatalf("%s has %v left, spent %d of his own and %d in all", who, b, m.querier[who], m.global)
			}
		}
	}
}

func TestLedgerFollowsTheModel(t *testing.T) {
	rapid.Check(t, func(t2 *rapid.T) {
		m := &model{
			dir: t.TempDir(), querier: map[string]uint64{}, answers: map[string][]int64{}, paid: map[string]bool{},
			limits: limitsOf(t2, rapid.Float64Range(0.05, 0.6).Draw(t2, "querier limit"), rapid.Float64Range(0.05, math.Pi/3).Draw(t2, "global limit")),
		}
		m.path = filepath.Join(m.dir, "l")
		var err error
		if m.open[0], err = Create(bg, m.path, testKey, m.limits); err != nil {
			t2.Fatal(err)
		}
		for i := range m.open[1:] {
			if m.open[i+1], err = Open(bg, m.path, testKey, Head{}); err != nil {
				t2.Fatal(err)
			}
		}
		defer func() {
			for _, l := range m.open {
				_ = l.Close()
			}
		}()
		t2.Repeat(map[string]func(*rapid.T){"ask": m.ask, "ask again": m.ask, "reopen": m.reopen, "tear": m.tear, "": m.check})
	})
}
