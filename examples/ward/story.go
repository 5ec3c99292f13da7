package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/veilchart/veilchart/keymgmt"
)

// story plays a day of the ward and checks every step against what it must be.
type story struct {
	h *hospital
	w *ward
	s *screen
	r *report

	wrapper keymgmt.Wrapper
	act     string

	cardiologist, psychiatrist, clerk *person
	sample                            *hit // a record that the cardiologist read

	finished bool // an erasure that an earlier run began
}

// tell runs all acts. A step that comes out wrong is counted and the story goes on; an error ends it.
func tell(ctx context.Context, h *hospital, wrapper keymgmt.Wrapper, w *ward, s *screen, r *report) error {
	if !h.state.Ingested {
		h.state.Took += w.took
	}
	y := &story{h: h, w: w, s: s, r: r, wrapper: wrapper}
	for i, act := range []struct {
		title string
		play  func(context.Context) error
	}{
		{"The ward's records come in", y.ingest},
		{"A cardiologist searches and reads", y.treat},
		{"A billing clerk finds less, and is refused", y.bill},
		{"A researcher asks, without the key to any record", y.research},
		{"An auditor checks the books", y.audit},
		{"A patient asks to be forgotten", y.forget},
	} {
		y.act = act.title
		s.act(i+1, act.title)
		if err := act.play(ctx); err != nil {
			return fmt.Errorf("%s: %w", strings.ToLower(act.title[:1])+act.title[1:], err)
		}
		if err := h.remember(ctx); err != nil {
			return err
		}
	}
	if err := r.measureStores(ctx, h); err != nil {
		return err
	}
	if peak := peakMemory(); peak > 0 {
		r.Times = append(r.Times, timed{"memory, at most", float64(peak) / 1e6, "MB", "under 1074"})
	}
	r.table(s)
	if r.Wrong == 0 {
		s.say("")
		s.say("Everything came out as it should. Run it again: go run ./examples/ward -dir %s", r.Folder)
	}
	return nil
}

// check reports a step of the story.
func (y *story) check(ok bool, format string, args ...any) { y.report(step{OK: ok}, format, args...) }

// again reports a step that an earlier run took and that was checked again now.
func (y *story) again(ok bool, format string, args ...any) {
	y.report(step{OK: ok, Before: true}, format+" (done by an earlier run; checked again)", args...)
}

func (y *story) report(s step, format string, args ...any) {
	s.Act, s.What = y.act, fmt.Sprintf(format, args...)
	y.r.Steps = append(y.r.Steps, s)
	if !s.OK {
		y.r.Wrong++
	}
	y.s.outcome(s.OK, s.What)
}

func (y *story) ingest(ctx context.Context) error {
	h, w := y.h, y.w
	for i, bad := range w.malformed {
		if i == 5 {
			y.s.warn(fmt.Sprintf("%d more lines of the input are no records; -json lists them", len(w.malformed)-i))
			break
		}
		y.s.warn(fmt.Sprintf("the input's %v; it is left out", bad))
	}
	y.r.Run = "new"
	switch {
	case h.state.Ingested:
		y.r.Run = "reopened"
	case h.state.Started > 0:
		y.r.Run = "resumed"
		y.s.say("An earlier run was interrupted; going on after %d batches.", h.state.Batches)
	}
	if y.r.Run != "reopened" {
		y.s.aside(fmt.Sprintf("%d FHIR resources of %d patients. Each is sealed under a policy that follows from its type and codes, and under its patient's key; "+
			"then stored by the hash of its ciphertext, logged, and indexed. Numbers become encrypted columns, one row for each patient.", len(w.records), len(w.patients)))
		for _, c := range classes {
			y.s.say("%-13s %s", c.name, y.s.paint(dim, c.policy))
		}
	}
	start := now()
	if err := h.finishIngest(ctx, w, y.s); err != nil {
		return err
	}
	if h.state.Erasing != "" && !h.state.Erased {
		y.s.say("An earlier run began to erase patient %s and was cut short; finishing that first.", short(h.state.Erasing))
		if err := h.finishErasure(ctx, func(doing string) { y.s.aside(doing) }); err != nil {
			return fmt.Errorf("finishing the erasure: %w", err)
		}
		y.finished = true
	}
	if y.r.Run == "reopened" {
		if err := h.verifyAll(ctx); err != nil {
			return err
		}
	}
	rows, removed := 0, h.state.Removed
	for _, name := range partitions {
		s, err := h.index[name].Stats(ctx)
		if err != nil {
			return err
		}
		rows += s.Rows
	}
	say := y.check
	if y.r.Run == "reopened" {
		say = y.again
		y.r.time("reopening and checking every stored byte", now().Sub(start), "")
	}
	say(rows == len(w.records)-removed,
		"%d of %d records are stored, logged and searchable%s", rows, len(w.records), without(removed))
	if n := len(w.malformed); n > 0 {
		y.s.say("%d lines were no records and were left out", n)
	}
	if y.r.Run == "new" {
		took := h.state.Took
		y.r.Times = append(y.r.Times, timed{"ingest (read, seal, store, log, index, columns)", float64(len(w.records)) / took.Seconds(), "records/s", "1500"})
		y.r.time("ingest, in all", took, "")
	}
	for _, p := range []struct {
		to   **person
		from person
	}{{&y.cardiologist, cardiologist}, {&y.psychiatrist, psychiatrist}, {&y.clerk, clerk}} {
		got, err := h.enrol(ctx, p.from)
		if err != nil {
			return err
		}
		*p.to = got
	}
	return nil
}

func without(removed int) string {
	if removed == 0 {
		return ""
	}
	return fmt.Sprintf("; the %d of the erased patient are gone", removed)
}
