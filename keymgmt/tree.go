package keymgmt

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"sort"
)

type ringID [16]byte

// tree is the key tree in memory: a root page with one B+-tree of pages for each tenant.
//
// What crypto-shredding rests on: for every page key that is alive, everything that was ever sealed under it belongs to
// keys that are still below its page. Keys leave a page in two ways only. When a page splits, both halves get fresh page
// keys. When a key is destroyed, every page above it does, up to the root. So after a destruction no living page key
// opens any old page that held the destroyed key or led to it.
type tree struct {
	ring    ringID
	epoch   uint64 // of the root key: one more at each destruction
	version uint64 // of the ring: one more at each change
	next    uint64 // the number of the next new page
	root    *page
	names   map[string][]*entry // version v of a name is names[name][v-1]
}

func newTree(ring ringID) *tree {
	return &tree{ring: ring, epoch: 1, version: 1, next: rootPage + 1, root: &page{kind: pageRoot, number: rootPage, key: randomKey()}, names: map[string][]*entry{}}
}

func (t *tree) newPage(kind uint8) *page {
	t.next++
	return &page{kind: kind, number: t.next - 1, key: randomKey()}
}

// wrap puts a secret into an entry under its leaf's key.
func (t *tree) wrap(e *entry, secret []byte) {
	e.wrapped = seal(e.leaf.key, labelKey, secret, fullName(t.ring, e.name, e.version))
}

// unwrap takes an entry's secret out.
func (t *tree) unwrap(e *entry) ([]byte, error) {
	return open(e.leaf.key, labelKey, e.wrapped, fullName(t.ring, e.name, e.version))
}

// path is the pages from the root down to the leaf where at is or would be, and the index taken in each.
func (t *tree) path(at position) (pages []*page, index []int) {
	p := t.root
	tenant := tenantOf(at.name)
	i := sort.Search(len(p.bounds), func(i int) bool { return p.bounds[i].name >= tenant })
	if i == len(p.bounds) || p.bounds[i].name != tenant {
		return []*page{p}, []int{i} // no such tenant yet: i is its place
	}
	for {
		pages, index = append(pages, p), append(index, i)
		p = p.kids[i]
		if p.kind == pageLeaf {
			return append(pages, p), append(index, 0)
		}
		i = sort.Search(len(p.bounds), func(i int) bool { return p.bounds[i].compare(at) > 0 }) - 1
	}
}

// touch marks the pages above e as changed; they keep their keys.
func (t *tree) touch(e *entry) {
	pages, _ := t.path(e.position)
	for _, p := range pages {
		p.sealed = nil
	}
}

// insert adds a new entry, whose position must be free, and splits pages as needed.
func (t *tree) insert(e *entry, secret []byte) error {
	pages, index := t.path(e.position)
	if len(pages) == 1 { // the tenant's first key
		if len(t.root.kids) >= maxTenants {
			return fmt.Errorf("keymgmt: a ring holds at most %d tenants: use another ring", maxTenants)
		}
		leaf := t.newPage(pageLeaf)
		t.root.bounds = slices.Insert(t.root.bounds, index[0], position{name: tenantOf(e.name)})
		t.root.kids = slices.Insert(t.root.kids, index[0], leaf)
		pages, index = append(pages, leaf), append(index, 0)
	}
	for _, p := range pages {
		p.sealed = nil
	}
	leaf := pages[len(pages)-1]
	e.leaf = leaf
	t.wrap(e, secret)
	i := sort.Search(len(leaf.entries), func(i int) bool { return leaf.entries[i].compare(e.position) > 0 })
	leaf.entries = slices.Insert(leaf.entries, i, e)
	t.names[e.name] = append(t.names[e.name], e)

	for n := len(pages) - 1; n >= 1 && pages[n].overfull(); n-- {
		parts, err := t.split(pages[n])
		if err != nil {
			return err
		}
		above, at := pages[n-1], index[n-1]
		if n == 1 { // a tenant's topmost page split: one more level
			above = t.newPage(pageInner)
			above.kids, above.bounds = []*page{pages[1]}, []position{{}}
			t.root.kids[at], at = above, 0
		}
		for k, part := range parts[1:] {
			above.kids = slices.Insert(above.kids, at+1+k, part)
			above.bounds = slices.Insert(above.bounds, at+1+k, part.lowest())
		}
	}
	return nil
}

// lowest is the lower bound of a page that has just been split off.
func (p *page) lowest() position {
	if p.kind == pageLeaf {
		return p.entries[0].position
	}
	return p.bounds[0]
}

// split divides p until no part is overfull. Every part, p included, gets a fresh page key.
func (t *tree) split(p *page) ([]*page, error) {
	if !p.overfull() {
		return []*page{p}, nil
	}
	right, at := t.newPage(p.kind), p.half()
	if p.kind == pageLeaf {
		right.entries = slices.Clone(p.entries[at:])
		for _, e := range right.entries {
			if err := t.move(e, p.key, right.key, right); err != nil {
				return nil, err
			}
		}
		clear(p.entries[at:])
		p.entries = p.entries[:at]
	} else {
		right.kids, right.bounds = slices.Clone(p.kids[at:]), slices.Clone(p.bounds[at:])
		p.kids, p.bounds = p.kids[:at], p.bounds[:at]
	}
	if err := t.rekey(p); err != nil {
		return nil, err
	}
	left, err := t.split(p)
	if err != nil {
		return nil, err
	}
	rest, err := t.split(right)
	return append(left, rest...), err
}

// move wraps e anew under another key.
func (t *tree) move(e *entry, from, to []byte, leaf *page) error {
	e.leaf = leaf
	if e.state == StateDestroyed {
		return nil
	}
	data := fullName(t.ring, e.name, e.version)
	secret, err := open(from, labelKey, e.wrapped, data)
	if err != nil {
		return fmt.Errorf("keymgmt: key %q version %d: %w", e.name, e.version, err)
	}
	e.wrapped = seal(to, labelKey, secret, data)
	clear(secret)
	return nil
}

// rekey gives p a fresh page key and wraps what is in it anew. The old key is wiped.
func (t *tree) rekey(p *page) error {
	old := p.key
	p.key, p.sealed = randomKey(), nil
	for _, e := range p.entries {
		if err := t.move(e, old, p.key, p); err != nil {
			return err
		}
	}
	clear(old)
	return nil
}

// shred destroys the secrets of entries and gives every page above them a fresh key, the root page included.
func (t *tree) shred(entries []*entry, receipt uint32) error {
	done := map[*page]bool{}
	for _, e := range entries {
		clear(e.wrapped)
		e.state = StateDestroyed
		e.wrapped = []byte{byte(receipt >> 24), byte(receipt >> 16), byte(receipt >> 8), byte(receipt)}
	}
	for _, e := range entries {
		pages, _ := t.path(e.position)
		for _, p := range pages {
			if done[p] {
				continue
			}
			done[p] = true
			if err := t.rekey(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// seal seals every changed page, children before their parents.
func (t *tree) seal(p *page) {
	if p.sealed != nil {
		return // a changed page has changed pages above it only
	}
	kids := make([]child, len(p.kids))
	for i, kid := range p.kids {
		t.seal(kid)
		kids[i] = child{number: kid.number, key: kid.key, digest: sha256.Sum256(kid.sealed)}
	}
	var header []byte
	if p == t.root {
		header = t.fileHeader()
	}
	plain := p.encode(kids)
	p.sealed = seal(p.key, labelPage, plain, pageData(t.ring, p.number, header))
	clear(plain)
}

// wipe clears the page keys in memory.
func (t *tree) wipe() {
	if t == nil {
		return
	}
	for p := range t.pages() {
		clear(p.key)
	}
}

// pages goes over all pages, a page before its children.
func (t *tree) pages() func(yield func(*page) bool) {
	return func(yield func(*page) bool) {
		var walk func(p *page) bool
		walk = func(p *page) bool {
			if !yield(p) {
				return false
			}
			for _, kid := range p.kids {
				if !walk(kid) {
					return false
				}
			}
			return true
		}
		walk(t.root)
	}
}

// buildTree opens all pages of a ring file, each against the digest in the page above it.
func buildTree(f *ringFile, rootKey []byte) (*tree, error) {
	t := &tree{ring: f.ring, epoch: f.epoch, version: f.version, next: f.next, names: map[string][]*entry{}}
	sealed := make(map[uint64][]byte, len(f.pages))
	for _, p := range f.pages {
		sealed[p.number] = p.sealed
	}
	plain, err := open(rootKey, labelPage, sealed[rootPage], pageData(t.ring, rootPage, t.fileHeader()))
	if err != nil {
		return nil, errors.New("the root page does not open with the root key")
	}
	var kids []child
	t.root, kids, err = decodePage(plain, rootPage)
	if err != nil {
		return nil, err
	}
	if t.root.kind != pageRoot {
		return nil, errors.New("page 1 is no root page")
	}
	t.root.key, t.root.sealed = slices.Clone(rootKey), sealed[rootPage]
	delete(sealed, rootPage)
	for i, c := range kids {
		kid, err := t.build(sealed, c, span{tenant: t.root.bounds[i].name}, 0)
		if err != nil {
			return nil, err
		}
		t.root.kids = append(t.root.kids, kid)
	}
	if len(sealed) != 0 {
		return nil, fmt.Errorf("%d pages hang on no other page", len(sealed))
	}
	return t, t.checkNames()
}

// span is what may be in a page: one tenant's positions from low to below high (nil: no end).
type span struct {
	tenant string
	low    position
	high   *position
}

const maxDepth = 12 // 2^12 pages of at least two children would be reached long after the file's size limit

func (t *tree) build(sealed map[uint64][]byte, c child, s span, depth int) (*page, error) {
	b, ok := sealed[c.number]
	if !ok || depth > maxDepth {
		return nil, fmt.Errorf("page %d is missing, used twice, or too deep", c.number)
	}
	delete(sealed, c.number)
	if sha256.Sum256(b) != c.digest {
		return nil, fmt.Errorf("page %d is not the one that the page above it names", c.number)
	}
	plain, err := open(c.key, labelPage, b, pageData(t.ring, c.number, nil))
	if err != nil {
		return nil, fmt.Errorf("page %d does not open", c.number)
	}
	p, kids, err := decodePage(plain, c.number)
	clear(plain)
	if err != nil {
		return nil, fmt.Errorf("page %d: %w", c.number, err)
	}
	p.key, p.sealed = c.key, b
	inside := func(at position) bool {
		return at.compare(s.low) >= 0 && (s.high == nil || at.compare(*s.high) < 0)
	}
	switch p.kind {
	case pageLeaf:
		for _, e := range p.entries {
			if !inside(e.position) || tenantOf(e.name) != s.tenant {
				return nil, fmt.Errorf("page %d holds a key that belongs elsewhere", c.number)
			}
			t.names[e.name] = append(t.names[e.name], e)
		}
	case pageInner:
		if p.bounds[0] != s.low {
			return nil, fmt.Errorf("page %d does not begin where the page above it says", c.number)
		}
		for i, k := range kids {
			if !inside(p.bounds[i]) {
				return nil, fmt.Errorf("page %d leads outside its part", c.number)
			}
			below := span{tenant: s.tenant, low: p.bounds[i], high: s.high}
			if i+1 < len(p.bounds) {
				below.high = &p.bounds[i+1]
			}
			kid, err := t.build(sealed, k, below, depth+1)
			if err != nil {
				return nil, err
			}
			p.kids = append(p.kids, kid)
		}
	default:
		return nil, fmt.Errorf("page %d is a second root page", c.number)
	}
	return p, nil
}

// checkNames holds what the rest of the package relies on: versions 1 to n of a name, and one primary at most.
func (t *tree) checkNames() error {
	for name, versions := range t.names {
		primaries := 0
		for i, e := range versions {
			if e.version != uint32(i+1) {
				return fmt.Errorf("key %q lacks version %d", name, i+1)
			}
			if e.state == StatePrimary {
				primaries++
			}
		}
		if primaries > 1 {
			return fmt.Errorf("key %q has %d primary versions", name, primaries)
		}
	}
	return nil
}
