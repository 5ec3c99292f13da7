package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/veilchart/veilchart/abe"
	"github.com/veilchart/veilchart/sse"
)

// count scans the plaintext of the input, as the search must not: the truth to compare with.
func (y *story) count(p *person, match func(*record) bool) (n int) {
	for _, r := range y.w.records {
		if p.index[classify(r).name] != nil && y.h.pseudonym(r.patient) != y.h.state.Erasing && match(r) {
			n++
		}
	}
	return n
}

func day(y, m, d int) time.Time { return time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC) }

// heart is what the cardiologist looks for: a Boolean search with a range of dates. heartInPlain is the same for the plaintext.
var heart = sse.And(
	sse.Term("type", sse.String("Condition")),
	sse.Or(sse.Term("text", sse.String("hypertension")), sse.Term("text", sse.String("coronary heart"))),
	sse.Range("date", sse.Day(day(2000, 1, 1)), sse.Day(day(2019, 12, 31))),
)

func heartInPlain(r *record) bool {
	text := strings.ToLower(strings.Join(r.text, " "))
	return r.kind == "Condition" && (strings.Contains(text, "hypertension") || strings.Contains(text, "coronary heart")) &&
		!r.date.Before(day(2000, 1, 1)) && !r.date.After(day(2019, 12, 31))
}

func (y *story) treat(ctx context.Context) error {
	me := y.cardiologist
	y.s.say("Key: %s", attributes(me))
	f, err := y.h.search(ctx, me, heart, 3)
	if err != nil {
		return err
	}
	want := y.count(me, heartInPlain)
	y.check(f.total == want, "conditions with \"hypertension\" or \"coronary heart\", 2000 to 2019: %d found (a scan of the plaintext finds %d)", f.total, want)
	for _, x := range f.hits {
		y.s.say("    %s  %s  patient %s", dayText(x.day), x.display, short(x.pseudonym))
	}
	// The first search fetched vocabularies and pages; this is the time of those that follow.
	var times []time.Duration
	for range 9 {
		f, err := y.h.search(ctx, me, heart, 3)
		if err != nil {
			return err
		}
		times = append(times, f.took)
	}
	y.r.time("a search over the whole ward (median of 9)", median(times), "under 5")
	who, err := y.misspell(ctx, me)
	if err != nil {
		return err
	}

	toOpen := append(append([]hit{}, f.hits...), who...)
	if len(f.hits) == 0 {
		y.s.say("These records have none, so the cardiologist reads another one.")
		other, err := y.h.search(ctx, me, sse.Not(sse.Or(sse.Term("type", sse.String("Patient")), sse.Term("type", sse.String("Encounter")))), 1)
		if err != nil {
			return err
		}
		toOpen = append(other.hits, who...)
	}
	times = nil
	for i, x := range toOpen {
		start := now()
		r, err := y.h.open(ctx, me, x)
		if err != nil {
			return err
		}
		times = append(times, now().Sub(start))
		if i == 0 {
			y.sample = &x
		}
		y.check(clip(r.display, maxDisplay) == x.display, "opened %s", describe(r, nil))
	}
	y.r.time(fmt.Sprintf("fetching and opening a record (median of %d)", len(times)), median(times), "under 30")
	return y.stricter(ctx, me)
}

// misspell finds a patient by a name with an error in it, and then the patient's high blood pressures.
func (y *story) misspell(ctx context.Context, me *person) ([]hit, error) {
	const misspelt, right = "Stoltenburg", "Stoltenberg"
	who, err := y.h.search(ctx, me, sse.And(sse.Term("type", sse.String("Patient")), sse.Fuzzy("name", misspelt, 1)), 3)
	if err != nil {
		return nil, err
	}
	want := y.count(me, func(r *record) bool { return strings.Contains(r.name, right) })
	names := make([]string, len(who.hits))
	for i, x := range who.hits {
		names[i] = x.display
	}
	y.check(who.total == want, "the name %q, misspelt, finds: %s", misspelt, orNobody(names))
	if len(who.hits) == 0 {
		return nil, nil
	}
	patient := who.hits[0].pseudonym
	const limit = 110
	high, err := y.h.search(ctx, me, sse.And(sse.Term("patient", sse.String(patient)), sse.Range("systolic", sse.Int(limit), sse.Value{})), 3)
	if err != nil {
		return nil, err
	}
	want = y.count(me, func(r *record) bool {
		return y.h.pseudonym(r.patient) == patient && slices.ContainsFunc(r.numbers, func(n number) bool { return n.code == systolic && int(n.value+0.5) >= limit })
	})
	y.check(high.total == want, "of this patient, systolic blood pressures of %d mmHg and more: %d (plaintext: %d)", limit, high.total, want)
	return who.hits, nil
}

// stricter shows that what is under a stricter policy stays shut to a cardiologist.
func (y *story) stricter(ctx context.Context, me *person) error {
	const overdose = "55680006"
	mind, err := y.h.search(ctx, y.psychiatrist, sse.Term("code", sse.String(overdose)), 1)
	if err != nil {
		return err
	}
	if len(mind.hits) == 0 {
		y.s.say("These records have none of psychiatry that could be refused.")
		return nil
	}
	_, err = y.h.open(ctx, me, mind.hits[0])
	denied := (*abe.DeniedError)(nil)
	y.check(errors.As(err, &denied), "a record of psychiatry is refused: %s", because(err))
	r, err := y.h.open(ctx, y.psychiatrist, mind.hits[0])
	y.check(err == nil && slices.Contains(r.codes, overdose), "the psychiatrist (%s) opens it", attributes(y.psychiatrist))
	return nil
}

func (y *story) bill(ctx context.Context) error {
	me := y.clerk
	y.s.say("Key: %s", attributes(me))
	for _, name := range partitions {
		if err := me.denied[name]; err != nil {
			y.s.say("the %s part of the index stays shut: %s", name, because(err))
		}
	}
	y.check(len(me.index) == 2 && me.index[classPatient.name] != nil && me.index[classEncounter.name] != nil, "the clerk can search demographics and encounters only")
	if y.sample == nil {
		y.s.say("These records have no diagnosis that could be refused.")
		return nil
	}
	q := sse.Term("patient", sse.String(y.sample.pseudonym))
	mine, err := y.h.search(ctx, me, q, 1)
	if err != nil {
		return err
	}
	theirs, err := y.h.search(ctx, y.cardiologist, q, 1)
	if err != nil {
		return err
	}
	y.check(mine.total < theirs.total, "records of patient %s: the clerk finds %d, the cardiologist %d", short(y.sample.pseudonym), mine.total, theirs.total)
	if len(mine.hits) > 0 {
		r, err := y.h.open(ctx, me, mine.hits[0])
		y.check(err == nil, "the clerk opens an encounter: %s", describe(r, err))
	}
	_, err = y.h.open(ctx, me, *y.sample)
	denied := (*abe.DeniedError)(nil)
	y.check(errors.As(err, &denied), "a clinical record, whose address the clerk got elsewhere, is refused: %s", because(err))

	// The words are equally long, so the file stays well-formed.
	y.s.aside("That was a friendly check of public data. So the clerk edits the key file: \"biller\" becomes \"doctor\", \"accounting\" becomes \"cardiology\". " +
		"What the file says now satisfies the policy. But its numbers still belong to the old words:")
	forged := bytes.ReplaceAll(me.key.ExposeSecret(), []byte("biller"), []byte("doctor"))
	forged = bytes.ReplaceAll(forged, []byte("accounting"), []byte("cardiology"))
	key, err := abe.NewKey(forged)
	if err == nil {
		_, err = y.h.openWith(ctx, me.name, key, *y.sample)
	}
	y.check(err != nil && !errors.As(err, &denied), "the forged key does not satisfy its pairing equations; nor would it decrypt, if a changed program left that check out")
	return nil
}

// because shortens an error to its reason.
func because(err error) string {
	if err == nil {
		return "it was NOT refused"
	}
	if denied := (*abe.DeniedError)(nil); errors.As(err, &denied) && denied.Kind == abe.DeniedPolicy {
		return strings.TrimPrefix(denied.Explanation.String(), "refused: ")
	}
	return err.Error()
}

func describe(r *record, err error) string {
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%s/%s: %s, %s", r.kind, short(r.id), r.display, r.date.Format("2 January 2006"))
}

func attributes(p *person) string { return strings.Join(p.attributes, ", ") }

// median of times; 0 of none.
func median(times []time.Duration) time.Duration {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return times[len(times)/2]
}

func orNobody(names []string) string {
	if len(names) == 0 {
		return "nobody"
	}
	return strings.Join(names, ", ")
}

func dayText(days int32) string { return time.Unix(int64(days)*86400, 0).UTC().Format("2 Jan 2006") }
