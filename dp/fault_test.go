package dp

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// step is a change to the file, counted from 1.
type step struct {
	n    int
	mode string
}

// faultFile is a file that fails at one step. The modes:
//
//	before, half, after  the process dies before, halfway through or after the step
//	lost, zeros          as after, and the power fails too: what was not synced is gone, or reads as zeros
//	full                 a write stores half and says that the disk is full; other steps fail likewise, once
//	stuck                as full, and cutting the half record off fails too
type faultFile struct {
	storage
	at     step
	count  int
	synced int64 // size at the last sync
	dead   bool
	die    func() // called at death; nil pretends
}

var errDead = errors.New("the process is dead")

func (f *faultFile) do(partly, whole func() error) error {
	if f.dead {
		return errDead
	}
	f.count++
	if f.count != f.at.n {
		if f.at.mode == "stuck" && f.count == f.at.n+1 {
			return syscall.EIO
		}
		return whole()
	}
	switch f.at.mode {
	case "full", "stuck":
		return errors.Join(syscall.ENOSPC, partly())
	case "half":
		_ = partly()
	case "after", "lost", "zeros":
		_ = whole()
	}
	f.dead = true
	if f.die != nil {
		f.die()
	}
	size, err := f.storage.Size()
	switch {
	case err != nil || size <= f.synced:
	case f.at.mode == "lost":
		err = f.Truncate1(f.synced)
	case f.at.mode == "zeros":
		err = errors.Join(f.Truncate1(f.synced), f.Truncate1(size))
	}
	return errors.Join(errDead, err)
}

// Truncate1 is the disk's, not the process's.
func (f *faultFile) Truncate1(size int64) error { return f.storage.Truncate(size) }

func (f *faultFile) WriteAt(b []byte, off int64) (n int, err error) {
	err = f.do(
		func() error { n, err = f.storage.WriteAt(b[:len(b)/2], off); return err },
		func() error { n, err = f.storage.WriteAt(b, off); return err })
	return n, err
}

func (f *faultFile) Truncate(size int64) error {
	return f.do(func() error { return nil }, func() error { return f.storage.Truncate(size) })
}

func (f *faultFile) Sync() error {
	return f.do(func() error { return nil }, func() error {
		if err := f.storage.Sync(); err != nil {
			return err
		}
		var err error
		f.synced, err = f.Size()
		return err
	})
}

// Lock and Unlock work for the dead too: the system does them.
func openFaulty(path string, at step, die func()) func(string) (storage, error) {
	return func(string) (storage, error) {
		f, err := openDisk(path)
		if err != nil {
			return nil, err
		}
		size, err := f.Size()
		return &faultFile{storage: f, at: at, synced: size, die: die}, err
	}
}

// story is what a process asks in the crash tests; it reports each event as a line. It ends early if the ledger fails.
func story(l *Ledger, say func(string)) error {
	boom := errors.New("boom")
	for _, ask := range []struct {
		querier, predicate string
		fails              bool
	}{
		{"ann", "a", false}, {"ann", "b", true}, {"bob", "a", false}, {"bob", "c", false}, {"ann", "a", false}, {"ann", "c", false}, {"bob", "d", false},
	} {
		computed := false
		r, err := l.Release(bg, ask.querier, countQuery(ask.predicate), func(context.Context) (Exact, error) {
			computed = true
			if ask.fails {
				say("failed " + ask.querier + " " + ask.predicate)
				return Exact{}, boom
			}
			say("computed " + ask.querier + " " + ask.predicate)
			return Exact{Count: 1 << 35}, nil
		})
		switch {
		case err == nil:
			say(fmt.Sprintf("answer %s %s %d", ask.querier, ask.predicate, r.Noisy[0]))
		case errors.Is(err, boom) && computed && strings.Contains(err.Error(), "nothing was spent"):
			say("voided " + ask.querier + " " + ask.predicate)
		default:
			return err
		}
	}
	say("end")
	return nil
}

// verify checks a ledger after a crash against what the dead process said: it opens; every answer that was seen is still the answer,
// free to who has seen it; every computation that gave values is paid for, and nothing is overspent; the ledger goes on.
func verify(t *testing.T, path string, lines []string, clean bool) {
	t.Helper()
	l, err := Open(bg, path, testKey, Head{})
	require.NoError(t, err, "%q", lines)
	defer l.Close()
	unit := laplaceCost(1 << 18)
	least := map[string]uint64{} // charges that must be there, by querier
	have := map[string]bool{}
	computed, global := map[string]bool{}, uint64(0)
	for _, line := range lines {
		var what, querier, predicate string
		var noisy int64
		_, _ = fmt.Sscan(line, &what, &querier, &predicate, &noisy)
		key := querier + " " + predicate
		switch what {
		case "computed":
			least[querier]++
			global++
			have[key], computed[predicate] = true, true
		case "answer":
			if !have[key] {
				least[querier]++ // a paid hit
				have[key] = true
			}
			r, err := l.Release(bg, querier, countQuery(predicate), never(t))
			require.NoError(t, err)
			require.Equal(t, noisy, r.Noisy[0])
			require.Equal(t, Cost{}, r.Charged)
		}
	}
	for _, querier := range []string{"ann", "bob"} {
		own, all := spent(t, l, querier)
		require.GreaterOrEqual(t, own.rho, least[querier]*unit.rho, "%q", lines)
		require.LessOrEqual(t, own.rho, (least[querier]+1)*unit.rho, "at most the charge in flight is lost: %q", lines)
		require.GreaterOrEqual(t, all.rho, global*unit.rho)
		require.True(t, own.within(l.limits.Querier) && all.within(l.limits.Global))
		if clean {
			require.Equal(t, least[querier]*unit.rho, own.rho)
		}
	}
	require.NoError(t, story(l, func(string) {}))
	require.NoError(t, l.Close())
	require.NoError(t, open(t, path).Close())
}

var crashLimits = [2]float64{1, 2}

func countSteps(t *testing.T) int {
	_, path := create(t, limitsOf(t, crashLimits[0], crashLimits[1]))
	var f *faultFile
	l, err := openWith(bg, path, testKey, Head{}, func(string) (storage, error) {
		s, err := openFaulty(path, step{}, nil)("")
		f = s.(*faultFile)
		return s, err
	}, newSource())
	require.NoError(t, err)
	defer l.Close()
	require.NoError(t, story(l, func(string) {}))
	// 5 new reservations, 2 hits that are paid, 1 void, 4 answers... each a write and a sync.
	require.Equal(t, 0, f.count%2)
	require.Greater(t, f.count, 16)
	return f.count
}

func TestCrashAtEveryStep(t *testing.T) {
	steps := countSteps(t)
	for _, mode := range []string{"before", "half", "after", "lost", "zeros"} {
		for n := 1; n <= steps; n++ {
			_, path := create(t, limitsOf(t, crashLimits[0], crashLimits[1]))
			l, err := openWith(bg, path, testKey, Head{}, openFaulty(path, step{n, mode}, nil), newSource())
			require.NoError(t, err)
			var lines []string
			require.ErrorIs(t, story(l, func(s string) { lines = append(lines, s) }), errDead)
			_ = l.Close()
			verify(t, path, lines, false)
		}
	}
}

// A full disk, or a disk that fails to sync, at every step.
func TestDiskErrorAtEveryStep(t *testing.T) {
	steps := countSteps(t)
	for n := 1; n <= steps; n++ {
		for _, mode := range []string{"full", "stuck"} {
			_, path := create(t, limitsOf(t, crashLimits[0], crashLimits[1]))
			l, err := openWith(bg, path, testKey, Head{}, openFaulty(path, step{n, mode}, nil), newSource())
			require.NoError(t, err)
			var lines []string
			say := func(s string) { lines = append(lines, s) }
			err = story(l, say)
			isWrite := n%2 == 1
			switch {
			case isWrite && mode == "full":
				// The file is as it was, so this process goes on once there is room. A charge or an answer was in flight.
				require.ErrorIs(t, err, syscall.ENOSPC)
				require.NotErrorIs(t, err, ErrPoisoned)
				before, err := os.ReadFile(path)
				require.NoError(t, err)
				require.Equal(t, int64(len(before)), l.size, "the half record is cut off again")
				lines = append(lines, "again")
				require.NoError(t, story(l, say))
				require.NoError(t, l.Close())
			default:
				require.ErrorIs(t, err, ErrPoisoned)
				require.ErrorContains(t, err, path)
				if mode == "full" {
					content, err := os.ReadFile(path)
					require.NoError(t, err)
					require.Equal(t, int64(len(content)), l.size, "a record that was not synced is cut off again")
				}
				_, err = l.Release(bg, "ann", countQuery("a"), never(t))
				require.ErrorIs(t, err, ErrPoisoned, "even answers that exist, until it is opened again")
				_, err = l.Remaining(bg, "ann")
				require.ErrorIs(t, err, ErrPoisoned)
				_ = l.Close()
			}
			verify(t, path, lines, isWrite && mode == "full" && !hasVoidFailure(lines))
		}
	}
}

// hasVoidFailure: the only failed write that costs something for good is that of a void.
func hasVoidFailure(lines []string) bool {
	for i, l := range lines {
		if l == "failed ann b" && lines[i+1] == "again" {
			return true
		}
	}
	return false
}

// An answer that could not be written for lack of room is written when it is asked for again: no new charge, no new computation.
func TestAnswerWaitsForRoom(t *testing.T) {
	_, path := create(t, limitsOf(t, 1, 1))
	l, err := openWith(bg, path, testKey, Head{}, openFaulty(path, step{3, "full"}, nil), newSource())
	require.NoError(t, err)
	defer l.Close()
	_, err = l.Release(bg, "ann", countQuery("a"), exactly(7))
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.ErrorContains(t, err, "not be charged anew")
	r, err := l.Release(bg, "ann", countQuery("a"), never(t))
	require.NoError(t, err)
	require.True(t, r.Cached)
	own, _ := spent(t, l, "ann")
	require.Equal(t, r.Cost, own)
	again, err := open(t, path).Release(bg, "ann", countQuery("a"), never(t))
	require.NoError(t, err)
	require.Equal(t, r, again)
}
