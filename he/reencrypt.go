package he

import "fmt"

// Reencrypt decrypts c and seals it afresh under another key without the values of the dropped rows, whose positions stay
// unused for ever. This is how a patient leaves a column: afterwards destroy every copy of k, since the old file can be
// decrypted as long as one exists. Dropped rows that the column does not have are ignored. c stays as it was.
// ErrDecrypt if c is not a column of k. It costs about twice what EncryptColumn does.
func (k *Key) Reencrypt(c *Column, to *Key, drop []uint32) (*Column, error) {
	if to.k.id == k.k.id {
		return nil, fmt.Errorf("he: column %q: re-encrypting under the same key would leave the old column readable: generate a new key", c.schema.name)
	}
	if err := k.Verify(c); err != nil {
		return nil, err
	}
	n := uint32(c.lat.n())
	gone := map[uint32][]uint32{}
	for _, row := range drop {
		gone[row/n] = append(gone[row/n], row%n)
	}
	out := &Column{lat: to.k.lat, key: to.k.id, schema: c.schema, next: c.next, blocks: make([]*block, len(c.blocks))}
	plain := make(map[uint32][]slot, len(c.blocks))
	opened := make([][]slot, len(c.blocks))
	err := parallel(len(c.blocks), func(i int) error {
		slots, err := k.open(c, c.blocks[i])
		if err != nil {
			return err
		}
		for _, r := range gone[c.blocks[i].index] {
			slots[r] = slot{}
		}
		opened[i] = slots
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, b := range c.blocks {
		out.blocks[i] = &block{index: b.index, version: 1}
		plain[b.index] = opened[i]
	}
	return to.seal(out, out.blocks, func(b *block) []slot { return plain[b.index] })
}
