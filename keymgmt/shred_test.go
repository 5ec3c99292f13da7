package keymgmt

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// attacker has copies of ring files and any number of keys, and does what the mathematics allows: he tries every key on
// every sealed page, goes on with the keys that he finds there, and then tries all keys that ever opened a page of a
// number on all wrapped keys in pages of that number. No check of the package is in his way: no checksum, no digest,
// no epoch.
type attacker struct {
	ring  ringID
	pages []attackedPage
	keys  map[string]bool
	found map[string][]byte // secrets, by full name
}

type attackedPage struct {
	number uint64
	header []byte
	sealed []byte
}

func newAttacker(t *testing.T, rings ...[]byte) *attacker {
	a := &attacker{keys: map[string]bool{}, found: map[string][]byte{}}
	seen := map[string]bool{}
	for _, b := range rings {
		f, err := decodeRing(b)
		require.NoError(t, err)
		a.ring = f.ring
		for _, p := range f.pages {
			page := attackedPage{number: p.number, sealed: p.sealed}
			if p.number == rootPage {
				page.header = b[:ringHeaderSize]
			}
			if !seen[string(p.sealed)] {
				seen[string(p.sealed)] = true
				a.pages = append(a.pages, page)
			}
		}
	}
	return a
}

// learn takes keys and everything that follows from them.
func (a *attacker) learn(keys ...[]byte) {
	fits := map[uint64][][]byte{}    // keys that opened a page of the number
	entries := map[uint64][]*entry{} // entries of the opened pages of the number
	for len(keys) > 0 {
		key := keys[0]
		keys = keys[1:]
		if a.keys[string(key)] {
			continue
		}
		a.keys[string(key)] = true
		sub := newGCM(subkey(key, labelPage))
		for _, p := range a.pages {
			plain, err := sub.Open(nil, nil, p.sealed, pageData(a.ring, p.number, p.header))
			if err != nil {
				continue
			}
			page, kids, err := decodePage(plain, p.number)
			if err != nil {
				panic(err)
			}
			if n := len(fits[p.number]); n == 0 || !bytes.Equal(fits[p.number][n-1], key) {
				fits[p.number] = append(fits[p.number], key)
			}
			entries[p.number] = append(entries[p.number], page.entries...)
			for _, kid := range kids {
				keys = append(keys, kid.key)
			}
		}
	}
	for number, keys := range fits {
		tried := map[string]bool{}
		for _, e := range entries[number] {
			if tried[string(e.wrapped)] {
				continue
			}
			tried[string(e.wrapped)] = true
			for _, k := range keys {
				if secret, err := open(k, labelKey, e.wrapped, fullName(a.ring, e.name, e.version)); err == nil {
					a.found[fmt.Sprintf("%s#%d", e.name, e.version)] = secret
				}
			}
		}
	}
}

// TestDestroyedKeyIsInNoOldCopy is the promise of crypto-shredding. Keys come, rotate and go; a backup of the ring is
// taken at every step. After each destruction an attacker with the present root key (so with the passphrase or key
// file), the present ring and every backup must not find the destroyed key. With one old root key, he must: that
// proves the attack.
func TestDestroyedKeyIsInNoOldCopy(t *testing.T) {
	ctx := context.Background()
	for seed := range uint64(2) {
		rng := rand.New(rand.NewPCG(seed, 1))
		r, w := newRing(t)
		var backups [][]byte
		rootKeys := map[uint64][]byte{}
		secrets := map[string][]byte{}
		var alive []string
		destroyed := map[string]bool{}
		backup := func() {
			backups = append(backups, readFile(t, r.files.Ring))
			rootKeys[r.tree.epoch] = bytes.Clone(r.tree.root.key)
		}
		backup()
		next := 0
		for step := range 60 {
			switch what := rng.IntN(10); {
			case what < 5 || len(alive) < 20: // enough to split leaves, and now and then an inner page
				var names []string
				for range 1 + rng.IntN(40) {
					names = append(names, fmt.Sprintf("tenant%d/patient/%d", rng.IntN(2), rng.IntN(1<<20)*1000+next))
					next++
				}
				require.NoError(t, r.GenerateMany(ctx, names))
				for _, name := range names {
					secrets[name+"#1"] = exposed(t, r, name)
				}
				alive = append(alive, names...)
			case what < 7:
				k, err := r.Rotate(ctx, alive[rng.IntN(len(alive))], nil)
				require.NoError(t, err)
				secrets[fmt.Sprintf("%s#%d", k.Name, k.Version)] = k.Secret.ExposeSecret()
			default:
				i := rng.IntN(len(alive))
				name := alive[i]
				alive = append(alive[:i], alive[i+1:]...)
				receipt, err := r.Destroy(ctx, name, Destruction{})
				require.NoError(t, err)
				for _, v := range receipt.Versions {
					destroyed[fmt.Sprintf("%s#%d", name, v)] = true
				}
			}
			backup()
			if step%20 != 19 {
				continue
			}
			a := newAttacker(t, backups...)
			unwrapped := rootKeyOf(t, r.files, w)
			a.learn(unwrapped)
			values := map[string]bool{}
			for full, secret := range a.found {
				require.False(t, destroyed[full], "%s came back", full)
				values[string(secret)] = true
			}
			for full := range destroyed {
				require.False(t, values[string(secrets[full])], "the bytes of %s came back", full)
			}
			living := 0
			for full, secret := range secrets {
				if !destroyed[full] {
					require.Equal(t, secret, a.found[full], "the attack works on what lives")
					living++
				}
			}
			require.NotZero(t, living)
			require.NotEmpty(t, destroyed)
		}
		// The documented exception: an old root file, kept against the rules, opens its old ring.
		all := newAttacker(t, backups...)
		all.learn(slices.Collect(maps.Values(rootKeys))...)
		for full := range destroyed {
			require.Equal(t, secrets[full], all.found[full], "the attack would find %s, if the old root key were still there", full)
		}
	}
}

// rootKeyOf is what the root file gives to who has the wrapper.
func rootKeyOf(t *testing.T, f Files, w Wrapper) []byte {
	root, err := decodeRoot(readFile(t, f.Root))
	require.NoError(t, err)
	require.Len(t, root.slots, 1)
	key, err := w.Unwrap(context.Background(), root.slots[0].wrapped, rootName(root.ring, root.slots[0].epoch))
	require.NoError(t, err)
	return key.ExposeSecret()
}

// TestSplitThenDestroy: a page key from before a split must not stay alive, because the old page held the other half.
func TestSplitThenDestroy(t *testing.T) {
	ctx := context.Background()
	r, w := newRing(t)
	var names []string
	for i := range maxFanout {
		names = append(names, fmt.Sprintf("a/%03d", i))
	}
	require.NoError(t, r.GenerateMany(ctx, names))
	old := readFile(t, r.files.Ring)
	last := exposed(t, r, "a/063")
	oldLeafKey := bytes.Clone(r.tree.names["a/063"][0].leaf.key)
	_, err := r.Generate(ctx, "a/0005") // splits the leaf; a/063 moves to the new half
	require.NoError(t, err)
	require.NotSame(t, r.tree.names["a/000"][0].leaf, r.tree.names["a/063"][0].leaf)
	split := readFile(t, r.files.Ring)
	_, err = r.Destroy(ctx, "a/063", Destruction{})
	require.NoError(t, err)

	a := newAttacker(t, old, split, readFile(t, r.files.Ring))
	a.learn(rootKeyOf(t, r.files, w))
	require.NotContains(t, a.found, "a/063#1")
	require.Contains(t, a.found, "a/000#1")
	a.learn(oldLeafKey)
	require.Equal(t, last, a.found["a/063#1"], "the key of the leaf before the split would have given it away")
}

// TestInnerSplitThenDestroy: the same for pages above the leaves.
func TestInnerSplitThenDestroy(t *testing.T) {
	ctx := context.Background()
	r, w := newRing(t)
	var backups [][]byte
	for round := range 8 {
		var names []string
		for i := range 500 {
			names = append(names, fmt.Sprintf("a/%03d/%d", i, round))
		}
		require.NoError(t, r.GenerateMany(ctx, names))
		backups = append(backups, readFile(t, r.files.Ring))
	}
	pages, _ := r.tree.path(position{"a/250/0", 1})
	require.GreaterOrEqual(t, len(pages), 4, "root page, two inner levels, leaf: an inner page has split")
	doomed := []string{"a/000/0", "a/250/0", "a/251/3", "a/499/7"}
	secrets := map[string][]byte{}
	for _, name := range doomed {
		secrets[name] = exposed(t, r, name)
	}
	oldRootKey := bytes.Clone(r.tree.root.key)
	for _, name := range doomed {
		_, err := r.Destroy(ctx, name, Destruction{})
		require.NoError(t, err)
		backups = append(backups, readFile(t, r.files.Ring))
	}
	a := newAttacker(t, backups...)
	a.learn(rootKeyOf(t, r.files, w))
	require.Len(t, a.found, 8*500-len(doomed)+1+len(doomed), "every living key, the signing key, the receipts")
	for _, name := range doomed {
		require.NotContains(t, a.found, name+"#1")
	}
	a.learn(oldRootKey)
	for _, name := range doomed {
		require.Equal(t, secrets[name], a.found[name+"#1"], "the attack works with the old root key")
	}
}

// TestOldCopiesOfTheFiles does it with the files, as who restores a backup would.
func TestOldCopiesOfTheFiles(t *testing.T) {
	ctx := context.Background()
	r, w := newRing(t)
	_, err := r.Generate(ctx, "a/patient/1")
	require.NoError(t, err)
	k, err := r.Generate(ctx, "a/patient/2")
	require.NoError(t, err)
	oldRing, oldRoot := readFile(t, r.files.Ring), readFile(t, r.files.Root)
	_, err = r.Destroy(ctx, "a/patient/2", Destruction{})
	require.NoError(t, err)
	newRing, newRoot := readFile(t, r.files.Ring), readFile(t, r.files.Root)

	_, err = OpenKeyring(ctx, put(t, oldRing, newRoot), w, Options{})
	require.ErrorIs(t, err, ErrRollback)
	require.ErrorContains(t, err, "before the last destruction")
	_, err = OpenKeyring(ctx, put(t, newRing, oldRoot), w, Options{})
	require.ErrorIs(t, err, ErrRollback)

	// Renaming the old ring's epoch and repairing its checksum gets past the friendly check, not past the key.
	f, err := decodeRing(oldRing)
	require.NoError(t, err)
	f.epoch++
	_, err = OpenKeyring(ctx, put(t, f.encode(), newRoot), w, Options{})
	require.ErrorIs(t, err, ErrDamaged)
	root, err := decodeRoot(newRoot)
	require.NoError(t, err)
	root.slots[0].epoch--
	_, err = OpenKeyring(ctx, put(t, oldRing, root.encode()), w, Options{})
	require.ErrorIs(t, err, ErrDamaged)

	// The documented exception.
	back := reopen(t, put(t, oldRing, oldRoot), w)
	require.Equal(t, k.Secret.ExposeSecret(), exposed(t, back, "a/patient/2"))
}

// TestOldRootKeyLeavesTheDisk: no file under the ring's folders holds the old wrapped root key, and the old file's own
// blocks are overwritten (seen here through a second name of the same file).
func TestOldRootKeyLeavesTheDisk(t *testing.T) {
	ctx := context.Background()
	r, _ := newRing(t)
	_, err := r.Generate(ctx, "a/1")
	require.NoError(t, err)
	root, err := decodeRoot(readFile(t, r.files.Root))
	require.NoError(t, err)
	var inodes []string
	n := 0
	r.disk.fault = func(step, path string) error {
		if step == "rename" && path == r.files.Root { // a second name for what is about to be replaced
			n++
			link := fmt.Sprintf("%s/link%d", t.TempDir(), n)
			require.NoError(t, linkFile(path, link))
			inodes = append(inodes, link)
		}
		return nil
	}
	_, err = r.Destroy(ctx, "a/1", Destruction{})
	require.NoError(t, err)
	require.Len(t, inodes, 2, "root file with both keys, then with the new one")
	for _, link := range inodes {
		b := readFile(t, link)
		require.Equal(t, make([]byte, len(b)), b)
	}
	everyFile(t, r.files, func(path string, b []byte) {
		require.NotContains(t, string(b), string(root.slots[0].wrapped), path)
		require.NotContains(t, path, ".tmp")
	})
}

func TestReceipt(t *testing.T) {
	ctx := ctxFor("dpo@st-anna", "request 17 under article 17")
	r, w := newRing(t)
	for _, name := range []string{"a/1", "a/2"} {
		_, err := r.Generate(ctx, name)
		require.NoError(t, err)
	}
	_, err := r.Rotate(ctx, "a/1", nil)
	require.NoError(t, err)
	pub, err := r.ReceiptKey(ctx)
	require.NoError(t, err)
	deadline := time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)
	d := Destruction{AtOnce: []string{"records", "attachments"}, ByDeadline: []string{"posting lists"}, Deadline: deadline}
	receipt, err := r.Destroy(ctx, "a/1", d)
	require.NoError(t, err)

	got, err := VerifyReceipt(receipt.Bytes(), pub)
	require.NoError(t, err)
	require.Equal(t, receipt, got)
	require.Equal(t, "a/1", got.Name)
	require.Equal(t, []uint32{1, 2}, got.Versions)
	require.Equal(t, "dpo@st-anna", got.Actor)
	require.Equal(t, "request 17 under article 17", got.Reason)
	require.Equal(t, d.AtOnce, got.AtOnce)
	require.Equal(t, d.ByDeadline, got.ByDeadline)
	require.True(t, deadline.Equal(got.Deadline))
	require.Equal(t, uint64(1), got.Epoch)
	version, err := r.Version(ctx)
	require.NoError(t, err)
	require.Equal(t, version, got.RingVersion)

	ring := readFile(t, r.files.Ring)
	again, err := r.Destroy(ctx, "a/1", Destruction{AtOnce: []string{"something else"}})
	require.ErrorIs(t, err, ErrDestroyed)
	require.Equal(t, receipt, again, "the first receipt")
	require.Equal(t, ring, readFile(t, r.files.Ring), "nothing is written")
	again, err = reopen(t, r.files, w).Destroy(ctx, "a/1", Destruction{Version: 1})
	require.ErrorIs(t, err, ErrDestroyed)
	require.Equal(t, receipt, again)

	second, err := r.Destroy(ctx, "a/2", Destruction{})
	require.NoError(t, err)
	require.Equal(t, uint64(2), second.Epoch)
	_, err = VerifyReceipt(second.Bytes(), pub)
	require.NoError(t, err)

	other, _ := newRing(t)
	otherPub, err := other.ReceiptKey(ctx)
	require.NoError(t, err)
	_, err = VerifyReceipt(receipt.Bytes(), otherPub)
	require.ErrorIs(t, err, ErrSignature)
	_, err = VerifyReceipt(receipt.Bytes(), nil)
	require.ErrorIs(t, err, ErrSignature)
	b := receipt.Bytes()
	for i := range b {
		for _, bit := range []byte{1, 0x80} {
			flipped := bytes.Clone(b)
			flipped[i] ^= bit
			_, err := VerifyReceipt(flipped, pub)
			require.Error(t, err, "byte %d", i)
		}
		_, err := VerifyReceipt(b[:i], pub)
		require.ErrorIs(t, err, ErrDamaged)
	}
	_, err = VerifyReceipt(append(bytes.Clone(b), 0), pub)
	require.ErrorIs(t, err, ErrDamaged)
	// A forger who signs an altered receipt himself and puts his own key into it.
	forged := receipt.clone()
	forged.AtOnce = []string{"nothing"}
	forger, err := other.tree.signingKey()
	require.NoError(t, err)
	forged.sign(forger)
	_, err = VerifyReceipt(forged.Bytes(), pub)
	require.ErrorIs(t, err, ErrSignature)
	copy(forged.signer[:], pub)
	_, err = VerifyReceipt(forged.Bytes(), pub)
	require.ErrorIs(t, err, ErrSignature)
}

func TestDestructionLimits(t *testing.T) {
	ctx := context.Background()
	r, _ := newRing(t)
	_, err := r.Generate(ctx, "a/1")
	require.NoError(t, err)
	long := string(make([]byte, maxLine+1))
	for i, d := range []Destruction{
		{AtOnce: make([]string, maxLines+1)}, {AtOnce: make([]string, maxLines), ByDeadline: []string{"x"}, Deadline: time.Now()},
		{AtOnce: []string{long}}, {AtOnce: []string{"\xff"}}, {ByDeadline: []string{"x"}}, {Deadline: time.Now()},
		{ByDeadline: []string{"x"}, Deadline: time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC)},
		{ByDeadline: []string{"x"}, Deadline: time.Date(90000, 1, 1, 0, 0, 0, 0, time.UTC)},
	} {
		_, err := r.Destroy(ctx, "a/1", d)
		require.Error(t, err, "%d", i)
	}
	_, err = r.Destroy(ctxFor(long, ""), "a/1", Destruction{})
	require.Error(t, err)
	exposed(t, r, "a/1")
	full := Destruction{AtOnce: make([]string, maxLines)}
	for i := range full.AtOnce {
		full.AtOnce[i] = long[:maxLine]
	}
	receipt, err := r.Destroy(ctx, "a/1", full)
	require.NoError(t, err)
	require.Len(t, receipt.AtOnce, maxLines)
}
