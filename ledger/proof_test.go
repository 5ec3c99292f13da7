package ledger

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

// smallLog is a log of 23 leaves and all its heads.
func smallLog(t testing.TB) (*Log, []*Checkpoint) {
	l := newLog(t, t.TempDir(), testSigner(t))
	heads := []*Checkpoint{l.Checkpoint()}
	for i := range int64(23) {
		_, err := l.Append(t.Context(), testLeaf(i))
		require.NoError(t, err)
		heads = append(heads, l.Checkpoint())
	}
	return l, heads
}

// TestForgedInclusion works on the hashes themselves: every other index, size, leaf, path and root must be refused.
func TestForgedInclusion(t *testing.T) {
	l, heads := smallLog(t)
	v := l.Verifier()
	for _, size := range []int64{1, 2, 7, 8, 22, 23} {
		head := heads[size]
		for i := range size {
			b, err := l.ProveInclusion(t.Context(), i, head)
			require.NoError(t, err)
			require.NoError(t, VerifyInclusion(head.Bytes(), v, testLeaf(i), i, b))
			p, err := newProof(b)
			require.NoError(t, err)
			require.Equal(t, b, p.bytes())
			no := func(leaf []byte, index int64, p proof) {
				t.Helper()
				require.ErrorIs(t, VerifyInclusion(head.Bytes(), v, leaf, index, p.bytes()), ErrProof)
			}
			for j := range size {
				if j == i {
					continue
				}
				no(testLeaf(j), i, p)
				no(testLeaf(i), j, p)                                     // contradicts the proof
				no(testLeaf(i), j, proof{typeInclusion, j, size, p.path}) // says what it claims
			}
			for k := range p.path {
				q := proof{typeInclusion, i, size, append([]tlog.Hash(nil), p.path...)}
				q.path[k][31] ^= 1
				no(testLeaf(i), i, q)
				q.path = append(append([]tlog.Hash(nil), p.path[:k]...), p.path[k+1:]...)
				no(testLeaf(i), i, q)
				if k > 0 {
					q.path = append([]tlog.Hash(nil), p.path...)
					q.path[k], q.path[k-1] = q.path[k-1], q.path[k]
					no(testLeaf(i), i, q)
				}
			}
			no(testLeaf(i), i, proof{typeInclusion, i, size, append(append([]tlog.Hash(nil), p.path...), tlog.Hash{})})
			no(testLeaf(i), i, proof{typeConsistency, i, size, p.path})
			// A proof for one head does not count for another one.
			for _, other := range heads {
				if other.Size != size {
					require.ErrorIs(t, VerifyInclusion(other.Bytes(), v, testLeaf(i), i, b), ErrProof)
				}
			}
		}
	}
	// An inner node passed off as a leaf: the prefixes of RFC 6962 stand against it. 65 bytes is an allowed length.
	left, right := tlog.RecordHash(testLeaf(0)), tlog.RecordHash(testLeaf(1))
	inner := append(append([]byte{1}, left[:]...), right[:]...)
	p, err := l.ProveInclusion(t.Context(), 0, heads[4])
	require.NoError(t, err)
	q, err := newProof(p)
	require.NoError(t, err)
	for _, forged := range [][]byte{inner, inner[1:]} {
		err = VerifyInclusion(heads[4].Bytes(), v, forged, 0, proof{typeInclusion, 0, 4, q.path[1:]}.bytes())
		require.ErrorIs(t, err, ErrProof)
		err = VerifyInclusion(heads[4].Bytes(), v, forged, 0, proof{typeInclusion, 0, 2, q.path[1:]}.bytes())
		require.ErrorIs(t, err, ErrProof)
	}
	// A checkpoint under another key, however good the proof.
	foreign, err := signCheckpoint(otherSigner(t), 4, heads[4].Root)
	require.NoError(t, err)
	require.ErrorIs(t, VerifyInclusion(foreign.Bytes(), v, testLeaf(0), 0, p), ErrProof)
	require.ErrorIs(t, VerifyInclusion(heads[4].Bytes(), v, nil, 0, p), ErrProof)
	require.ErrorIs(t, VerifyInclusion(heads[4].Bytes(), v, testLeaf(0), 0, nil), ErrProof)
	require.ErrorIs(t, VerifyInclusion(heads[4].Bytes(), nil, testLeaf(0), 0, p), ErrProof)
}

// TestSplitView signs two histories with one key: no proof joins them, wherever they part.
func TestSplitView(t *testing.T) {
	ctx := t.Context()
	l, heads := smallLog(t)
	v := l.Verifier()
	for _, parts := range []int64{0, 3, 8, 15} {
		f := newLog(t, t.TempDir(), testSigner(t))
		if parts > 0 {
			_, err := f.Append(ctx, testLeaves(0, parts)...)
			require.NoError(t, err)
		}
		for i := parts; i < 23; i++ {
			_, err := f.Append(ctx, testLeaf(i+1000))
			require.NoError(t, err)
			fork := f.Checkpoint()
			for _, older := range heads[1:] {
				for _, pair := range [][2]*Checkpoint{{older, fork}, {fork, older}} {
					if pair[0].Size > pair[1].Size {
						continue
					}
					same := older.Size <= parts && older.Size <= fork.Size
					// The best that either log can offer, without its own checks.
					for _, from := range []*Log{l, f} {
						path, err := tlog.ProveTree(pair[1].Size, pair[0].Size, newReader(ctx, from.dir, from.tree.Load()))
						if err != nil {
							continue // that log is too short
						}
						err = VerifyConsistency(pair[0].Bytes(), pair[1].Bytes(), v, proof{typeConsistency, pair[0].Size, pair[1].Size, path}.bytes())
						if same && from == f {
							require.NoError(t, err)
						} else if !same {
							require.ErrorIs(t, err, ErrProof)
						}
					}
				}
			}
		}
	}
}

// TestForgedConsistency changes the hashes of proofs.
func TestForgedConsistency(t *testing.T) {
	l, heads := smallLog(t)
	v := l.Verifier()
	for _, older := range heads {
		for _, newer := range heads[older.Size:] {
			b, err := l.ProveConsistency(t.Context(), older, newer)
			require.NoError(t, err)
			require.NoError(t, VerifyConsistency(older.Bytes(), newer.Bytes(), v, b))
			p, err := newProof(b)
			require.NoError(t, err)
			no := func(a, c *Checkpoint, p proof) {
				t.Helper()
				require.ErrorIs(t, VerifyConsistency(a.Bytes(), c.Bytes(), v, p.bytes()), ErrProof)
			}
			for k := range p.path {
				q := p
				q.path = append([]tlog.Hash(nil), p.path...)
				q.path[k][0] ^= 0x80
				no(older, newer, q)
				q.path = append(append([]tlog.Hash(nil), p.path[:k]...), p.path[k+1:]...)
				no(older, newer, q)
			}
			no(older, newer, proof{p.typ, p.a, p.b, append(append([]tlog.Hash(nil), p.path...), tlog.Hash{1})})
			no(older, newer, proof{typeInclusion, p.a, p.b, p.path})
			if older.Size < newer.Size {
				no(newer, older, p)
				no(newer, older, proof{p.typ, p.b, p.a, p.path})
			}
		}
	}
}

func TestCheckpointText(t *testing.T) {
	s := testSigner(t)
	v := s.Verifier()
	root := base64.StdEncoding.EncodeToString(make([]byte, 32))
	signText := func(text string) []byte {
		b, err := note.Sign(&note.Note{Text: text}, noteSigner{s})
		require.NoError(t, err)
		return b
	}
	good := signText(testName + "\n7\n" + root + "\n")
	c, err := NewCheckpoint(good, v)
	require.NoError(t, err)
	require.Equal(t, good, c.Bytes())
	require.EqualValues(t, 7, c.Size)
	c.Bytes()[0] = 'X'
	require.Equal(t, good, c.Bytes(), "Bytes is a copy")

	// Signed by the right key, and still refused.
	for _, text := range []string{
		"other.example\n7\n" + root + "\n",
		testName + "\n07\n" + root + "\n",
		testName + "\n+7\n" + root + "\n",
		testName + "\n-7\n" + root + "\n",
		testName + "\n\n" + root + "\n",
		testName + "\n1099511627777\n" + root + "\n",
		testName + "\n99999999999999999999\n" + root + "\n",
		testName + "\n0\n" + root + "\n", // not the empty root
		testName + "\n7\n" + root[:40] + "\n",
		testName + "\n7\n" + root[:42] + "B=\n", // unused bits of base64
		testName + "\n7\n" + root + root + "\n",
		testName + "\n7\n" + root + "\nextension\n",
		testName + "\n7\n",
		"go.sum database tree\n7\n" + root + "\n",
	} {
		_, err := NewCheckpoint(signText(text), v)
		require.Error(t, err, text)
	}
	// Cosignatures of unknown keys are allowed, a second signature of ours is not, nor one written in another way.
	cosigned := string(good) + string(signText("x\n")[len("x\n\n"):])
	_, err = NewCheckpoint([]byte(cosigned), v)
	require.Error(t, err)
	w, err := NewSigner("witness.example", bytes.Repeat([]byte{7}, 32))
	require.NoError(t, err)
	open, err := note.Open(good, note.VerifierList(v.v))
	require.NoError(t, err)
	both, err := note.Sign(open, noteSigner{w})
	require.NoError(t, err)
	c, err = NewCheckpoint(both, v)
	require.NoError(t, err)
	require.Equal(t, both, c.Bytes())
	_, err = NewCheckpoint(both, w.Verifier())
	require.ErrorContains(t, err, "not of", "a witness's key is not the log's")
	_, err = NewCheckpoint(append(bytes.Clone(good), bytes.Repeat([]byte("— a b\n"), maxCheckpoint/8)...), v)
	require.ErrorContains(t, err, "limit")
}

func TestKeys(t *testing.T) {
	s, err := GenerateSigner(testName)
	require.NoError(t, err)
	again, err := NewSigner(testName, s.Seed())
	require.NoError(t, err)
	require.Equal(t, s.Verifier().String(), again.Verifier().String())
	v, err := ParseVerifier(s.Verifier().String())
	require.NoError(t, err)
	require.Equal(t, testName, v.Name())
	other, err := GenerateSigner(testName)
	require.NoError(t, err)
	require.NotEqual(t, s.Seed(), other.Seed())

	// The secret does not print. The key's first bytes in several notations stand for the whole.
	for _, text := range []string{
		fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %x %q %d", s, s, s, s, s, s, s), fmt.Sprintf("%v %+v %#v %x", *s, *s, *s, *s),
		func() string { b, _ := json.Marshal(map[string]any{"k": s}); return string(b) }(),
		s.LogValue().String(),
	} {
		require.Contains(t, text, "redacted")
		require.NotContains(t, text, fmt.Sprintf("%x", s.Seed()[:4]))
		require.NotContains(t, text, strings.Trim(fmt.Sprint(s.Seed()[:4]), "[]"))
	}

	for _, name := range []string{"", "a b", "a+b", "a\nb", "a\x00b", "a\u00a0b", "a\xffb", strings.Repeat("n", maxName+1)} {
		_, err := GenerateSigner(name)
		require.Error(t, err, "%q", name)
	}
	_, err = NewSigner(testName, make([]byte, 31))
	require.Error(t, err)
	good := s.Verifier().String()
	for i := range good {
		changed := []byte(good)
		changed[i] ^= 1
		if v, err := ParseVerifier(string(changed)); err == nil {
			t.Fatalf("a changed key is taken: %s as %s", changed, v)
		}
	}
	for _, text := range []string{"", "+", "++", testName, good + "+", good + "=", strings.ToUpper(good), strings.Repeat("x", 1000)} {
		_, err := ParseVerifier(text)
		require.Error(t, err, text)
	}
}

// TestLogModel compares a log with a plain list of leaves, through any order of appends, reopens, readers, proofs and
// failing disks.
func TestLogModel(t *testing.T) {
	base := t.TempDir()
	s := testSigner(t)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		ctx := t.Context()
		dir := fmt.Sprintf("%s/%d", base, run)
		l, err := OpenLog(ctx, dir, s, nil)
		require.NoError(rt, err)
		l.disk.lazy = true
		defer func() { l.Close() }()
		var model [][]byte
		heads := []*Checkpoint{l.Checkpoint()}
		rt.Repeat(map[string]func(*rapid.T){
			"append": func(t *rapid.T) {
				n := rapid.IntRange(1, 300).Draw(t, "leaves")
				leaves := make([][]byte, n)
				for i := range leaves {
					leaves[i] = rapid.SliceOfN(rapid.Byte(), MinLeaf, MinLeaf+3).Draw(t, "leaf")
					if i > 5 { // drawing is slow
						leaves[i] = testLeaf(int64(len(model) + i))
					}
				}
				first, err := l.Append(ctx, leaves...)
				require.NoError(t, err)
				require.EqualValues(t, len(model), first)
				model = append(model, leaves...)
				heads = append(heads, l.Checkpoint())
			},
			"fail": func(t *rapid.T) {
				var steps int
				failAt(&l.disk, rapid.IntRange(0, 4).Draw(t, "step"), true, &steps)
				_, err := l.Append(ctx, testLeaf(1))
				l.disk.fault = nil
				require.Error(t, err)
			},
			"reopen": func(t *rapid.T) {
				require.NoError(t, l.Close())
				again, err := OpenLog(ctx, dir, s, rapid.SampledFrom(heads).Draw(t, "remembered").Bytes())
				require.NoError(t, err)
				l = again
				l.disk.lazy = true
			},
			"prove": func(t *rapid.T) {
				older, newer := rapid.SampledFrom(heads).Draw(t, "older"), rapid.SampledFrom(heads).Draw(t, "newer")
				if older.Size > newer.Size {
					older, newer = newer, older
				}
				p, err := l.ProveConsistency(ctx, older, newer)
				require.NoError(t, err)
				require.NoError(t, VerifyConsistency(older.Bytes(), newer.Bytes(), s.Verifier(), p))
				if newer.Size > 0 {
					i := rapid.Int64Range(0, newer.Size-1).Draw(t, "index")
					p, err := l.ProveInclusion(ctx, i, newer)
					require.NoError(t, err)
					require.NoError(t, VerifyInclusion(newer.Bytes(), s.Verifier(), model[i], i, p))
				}
			},
			"": func(t *rapid.T) {
				require.EqualValues(t, len(model), l.Checkpoint().Size)
				require.Equal(t, referenceRoot(model), l.Checkpoint().Root[:])
			},
		})
		require.NoError(rt, l.Verify(ctx, nil))
		require.NoError(rt, checkLog(dir, s.Verifier(), heads[len(heads)-1].Bytes()))
	})
}
