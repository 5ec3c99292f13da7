package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/veilchart/veilchart/keymgmt"
	"github.com/veilchart/veilchart/sse"
)

// erase makes everything about a patient unreadable, for everybody and in every copy of the stores:
//
//  1. the patient's key is destroyed: records, and what the index gives back with its rows, are shut at once;
//  2. the rows are deleted, and the partitions that held them are compacted under new keys, since posting lists are shared with other patients;
//  3. the columns are encrypted afresh without the patient, under a new key, since they are shared too;
//  4. the old keys of partitions and columns are destroyed.
//
// The steps can be repeated, so an erasure that was cut short is finished by the next run. Sealed objects and the log's hashes stay: nobody
// can open or link them any more.
func (h *hospital) erase(ctx context.Context, pseudonym string, position uint32, progress func(string)) error {
	ctx = keymgmt.WithUse(ctx, keymgmt.Use{Actor: "data protection officer", Reason: "request of the patient"})
	if h.state.Erased {
		return errors.New("one patient of this ward has been erased already")
	}
	if h.state.Erasing == "" {
		h.state.Erasing = pseudonym
		for _, name := range partitions {
			r, err := h.index[name].Search(ctx, sse.Term("patient", sse.String(pseudonym)), sse.SearchOptions{CountOnly: true})
			if err != nil {
				return err
			}
			h.state.Removed += r.Total
		}
		if err := h.remember(ctx); err != nil {
			return err
		}
	}
	progress("destroying the patient's key")
	receipt, err := h.ring.Destroy(ctx, keyPatient+pseudonym, keymgmt.Destruction{
		AtOnce: []string{"all sealed records of patient " + pseudonym, "the sealed part of the patient's rows in the index"},
		// The steps below do it within this call; the receipt must be true if they are cut short.
		ByDeadline: []string{"the patient's terms in the posting lists and vocabularies of the index", "the patient's values in the encrypted columns"},
		Deadline:   now().AddDate(0, 0, 30),
	})
	if err != nil && !errors.Is(err, keymgmt.ErrDestroyed) {
		return err
	}
	h.state.Receipt = receipt.Bytes()
	for _, name := range partitions {
		progress("removing rows and changing the key of the " + name + " partition")
		if err := h.removeRows(ctx, name, pseudonym); err != nil {
			return fmt.Errorf("removing rows from the %s partition: %w", name, err)
		}
		if err := h.remember(ctx); err != nil {
			return err
		}
	}
	progress("encrypting the columns afresh")
	if err := h.dropFromColumns(ctx, position); err != nil {
		return err
	}
	for _, name := range partitions {
		if err := h.destroyOldVersions(ctx, keyIndex+name); err != nil {
			return err
		}
	}
	if err := h.destroyOldVersions(ctx, keyColumns); err != nil {
		return err
	}
	if err := h.shareIndexKeys(ctx); err != nil {
		return err
	}
	h.state.Erased = true
	return h.remember(ctx)
}

// removeRows deletes a patient's rows and rewrites the partition under a new key.
func (h *hospital) removeRows(ctx context.Context, partition, pseudonym string) error {
	ix := h.index[partition]
	found, err := ix.Search(ctx, sse.Term("patient", sse.String(pseudonym)), sse.SearchOptions{})
	if err != nil {
		return err
	}
	var gone sse.Batch
	for _, x := range found.Hits {
		gone.Delete = append(gone.Delete, sse.Deletion{ID: x.ID})
	}
	if len(gone.Delete) > 0 {
		if err := ix.Apply(ctx, gone); err != nil {
			return err
		}
	}
	key, err := h.ring.Rotate(ctx, keyIndex+partition, nil)
	if err != nil {
		return err
	}
	return ix.Compact(ctx, sse.CompactOptions{NewKey: key.Secret.ExposeSecret(), DeleteNow: true})
}
