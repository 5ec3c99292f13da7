package sse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
)

// AddField adds a field to the schema of the partition. Nothing is indexed again: documents that are there have nothing in the field until they are
// put again with a higher revision. Programs that have the partition open see the field with the next manifest that they read; what they
// write until then stays good. If the schema has the very same field already, nothing happens.
//
// ErrSchema if the field is not a good one, or if another one has its name. A field cannot be changed or taken away.
func (ix *Index) AddField(ctx context.Context, f Field) error {
	if err := ix.writing.take(ctx); err != nil {
		return err
	}
	defer ix.writing.give()
	for try := 0; ; try++ {
		st, err := ix.refresh(ctx)
		if err != nil {
			return err
		}
		if old, err := st.manifest.schema.field(f.Name); err == nil && bytes.Equal(Schema{Fields: []Field{old}}.Bytes(), Schema{Fields: []Field{f}}.Bytes()) {
			return nil
		}
		wider, err := st.manifest.schema.add(f)
		if err != nil {
			return err
		}
		if wider, err = NewSchema(wider.Bytes()); err != nil { // as the next reader of the manifest sees it
			return err
		}
		c := newChange(nil)
		c.schema = &wider
		if err := ix.commit(ctx, st, c); err == nil {
			return nil
		} else if !errors.Is(err, ErrConflict) || try == maxTries {
			return fmt.Errorf("adding field %q: %w", f.Name, err)
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
}
