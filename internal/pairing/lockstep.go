package pairing

// G1Products asks for the point of Table times each of Ks.
type G1Products struct {
	Table *G1Table
	Ks    []Scalar
}

// MulG1Tables returns all products, those of a group one after another. Some hundreds take half the time of Mul for each: they go through the digits
// together, in affine coordinates, and share one inversion in the field for each digit. Constant-time in the scalars, but for zero and at most 2^6 others of
// 2^255, for which an addition meets equal or opposite points: then all products are made one by one.
//
// It runs on the calling goroutine.
func MulG1Tables(groups []G1Products) []G1 {
	var out []G1
	if sums, ok := lockstep(stepsInG1, groupsInG1(groups), lockstepFrom); ok {
		out = make([]G1, len(sums))
		for i := range out {
			out[i].p = fromAffineG1(&sums[i])
		}
		return out
	}
	for _, g := range groups {
		for _, k := range g.Ks {
			out = append(out, g.Table.Mul(k))
		}
	}
	return out
}

func groupsInG1(products []G1Products) []group[entryG1] {
	groups := make([]group[entryG1], len(products))
	for i, p := range products {
		groups[i] = group[entryG1]{p.Table.t, p.Ks}
	}
	return groups
}

// MulEach returns k p for each of ks, as MulG1Tables does.
func (t *G2Table) MulEach(ks []Scalar) []G2 {
	out := make([]G2, len(ks))
	if sums, ok := lockstep(stepsInG2, []group[entryG2]{{t.t, ks}}, lockstepFrom); ok {
		for i := range out {
			out[i].p = fromAffineG2(&sums[i])
		}
		return out
	}
	for i, k := range ks {
		out[i] = t.Mul(k)
	}
	return out
}

// group are products of one table.
type group[E any] struct {
	t  rows[E]
	ks []Scalar
}

// steps are what a back end does for many points of a group at a time. Entries are affine with both.
type steps[E any] struct {
	// pick copies the entries of row for digit at of recoded, as many as out and at least one, and applies the signs. Constant-time in the digits.
	pick func(out, row []E, at int, recoded [][digits]digit)
	// add adds entries to sums, point by point, at least one. It returns false where two have the same x. scratch is as long as sums. Constant-time
	// but for that.
	add func(sums, entries, scratch []E) bool
}

// lockstep returns the products of groups, if they are from or more, in affine coordinates. With odd digits no partial sum is the identity, and none has the x
// of the entry that it meets: up to the last digit but one the sum is smaller than 32^i in size and the entry a multiple of 32^i other than 0, both below r/2.
// Of the last addition that is not true for a few scalars, zero among them. Then a difference is 0, and so is the product of all.
func lockstep[E any](steps steps[E], groups []group[E], from int) (sums []E, ok bool) {
	n := 0
	for _, g := range groups {
		n += len(g.ks)
	}
	if n < from {
		return nil, false
	}
	recoded := make([][digits]digit, 0, n)
	for _, g := range groups {
		for _, k := range g.ks {
			recoded = append(recoded, recode(k))
		}
	}
	sums, entries, scratch := make([]E, n), make([]E, n), make([]E, n)
	picked := sums // of the first digit
	for at := range digits {
		from := 0
		for _, g := range groups {
			if to := from + len(g.ks); to > from {
				steps.pick(picked[from:to], g.t[at*oddMultiples:][:oddMultiples], at, recoded[from:to])
				from = to
			}
		}
		if at > 0 && !steps.add(sums, entries, scratch) {
			return nil, false
		}
		picked = entries
	}
	return sums, true
}
