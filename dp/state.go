package dp

import "fmt"

// Head names a point in the history of a ledger: the sequence and hash of one record. Keep it where a thief of the disk cannot
// change it (ledger's checkpoints, another machine). The zero Head names nothing.
type Head struct {
	Seq  uint64
	Hash [32]byte
}

// Limits are fixed when a ledger is created.
type Limits struct {
	Dataset string // name of the data set; every query must name the same
	Querier Cost   // most that one querier may spend
	Global  Cost   // most that all queriers may spend together on new answers
	// SuppressBelow is the small-cell limit, 0 to 2^40: an answer or bucket whose noisy count is below it is withheld. 0 withholds
	// nothing. It is a rule of presentation; the privacy comes from the noise.
	SuppressBelow int64
}

func (l Limits) check() error {
	if err := checkName("data set", l.Dataset, maxName, false); err != nil {
		return err
	}
	for _, c := range []Cost{l.Querier, l.Global} {
		if c.rho == 0 || c.rho > maxRho*rhoOne || c.delta.bitLen() > deltaLog {
			return fmt.Errorf("%w: a limit is %v; make both limits with ZCDP or EpsilonDelta", ErrInvalid, c)
		}
	}
	if l.SuppressBelow < 0 || l.SuppressBelow > 1<<40 {
		return fmt.Errorf("%w: SuppressBelow is %d; give a number between 0 and 2^40", ErrInvalid, l.SuppressBelow)
	}
	return nil
}

type chargeKey struct {
	question hash
	querier  string
}

// reservation is a Reserve without Commit or Void. It counts as spent.
type reservation struct {
	question hash
	querier  string
	cost     Cost
	numbers  int
}

type stored struct {
	seq   uint64
	noisy []int64
}

// state is what the records of a file add up to.
type state struct {
	next     uint64 // sequence of the next record
	prev     hash   // hash of the last one, or of the file header
	limits   Limits
	global   Cost
	queriers map[string]Cost
	open     map[uint64]reservation
	paid     map[chargeKey]int // reservations, not voided, of a querier for a question
	answers  map[hash]stored
}

func newState(header hash) *state {
	return &state{
		prev: header, queriers: make(map[string]Cost), open: make(map[uint64]reservation),
		paid: make(map[chargeKey]int), answers: make(map[hash]stored),
	}
}

// apply adds a record whose place in the chain, MAC and body were checked. It changes nothing if it refuses.
func (s *state) apply(r record, plain []byte, recordHash hash) error {
	if (r.kind == typeOpen) != (s.next == 0) {
		return fmt.Errorf("the first record and no other opens a ledger; changing limits is not supported by this version")
	}
	if r.kind != typeReserve && r.cost != (Cost{}) {
		return fmt.Errorf("a record that reserves nothing has a cost")
	}
	var err error
	switch r.kind {
	case typeOpen:
		var limits Limits
		if limits, err = parseLimits(plain); err == nil && r.query != (hash{}) {
			err = fmt.Errorf("the opening record names a question")
		}
		if err == nil {
			s.limits = limits
		}
	case typeReserve:
		err = s.reserve(r, plain)
	case typeCommit:
		err = s.commit(r, plain)
	case typeVoid:
		err = s.void(r, plain)
	}
	if err != nil {
		return err
	}
	s.next, s.prev = r.seq+1, recordHash
	return nil
}

func (s *state) reserve(r record, plain []byte) error {
	c, err := parseCharge(plain)
	if err != nil {
		return err
	}
	plan, err := c.question.Plan()
	if err != nil {
		return err
	}
	if plan.Cost != r.cost {
		return fmt.Errorf("the cost is not that of the question")
	}
	if _, answered := s.answers[r.query]; answered != c.hit {
		return fmt.Errorf("a reservation for a new answer where there is one, or for an old answer where there is none")
	}
	if err := s.affords(c.querier, r.cost, c.hit); err != nil {
		return err
	}
	s.queriers[c.querier], _ = s.queriers[c.querier].plus(r.cost)
	s.paid[chargeKey{r.query, c.querier}]++
	if !c.hit {
		s.global, _ = s.global.plus(r.cost)
		s.open[r.seq] = reservation{r.query, c.querier, r.cost, plan.numbers()}
	}
	return nil
}

// affords returns a *BudgetError if the charge does not fit the limits.
func (s *state) affords(querier string, cost Cost, hit bool) error {
	spent := s.queriers[querier]
	if sum, over := spent.plus(cost); over || !sum.within(s.limits.Querier) {
		return &BudgetError{Querier: querier, Need: cost, Left: s.limits.Querier.left(spent)}
	}
	if sum, over := s.global.plus(cost); !hit && (over || !sum.within(s.limits.Global)) {
		return &BudgetError{Querier: querier, Global: true, Need: cost, Left: s.limits.Global.left(s.global)}
	}
	return nil
}

func (s *state) commit(r record, plain []byte) error {
	a, err := parseAnswer(plain)
	if err != nil {
		return err
	}
	res, ok := s.open[a.reserve]
	if !ok || res.question != r.query {
		return fmt.Errorf("an answer without its reservation")
	}
	if _, twice := s.answers[r.query]; twice {
		return fmt.Errorf("a second answer to one question")
	}
	if len(a.noisy) != res.numbers {
		return fmt.Errorf("the answer has %d numbers, the question %d", len(a.noisy), res.numbers)
	}
	delete(s.open, a.reserve)
	s.answers[r.query] = stored{r.seq, a.noisy}
	return nil
}

func (s *state) void(r record, plain []byte) error {
	seq, err := parseVoid(plain)
	if err != nil {
		return err
	}
	res, ok := s.open[seq]
	if !ok || res.question != r.query {
		return fmt.Errorf("a void without its reservation")
	}
	delete(s.open, seq)
	s.queriers[res.querier] = s.queriers[res.querier].minus(res.cost)
	s.global = s.global.minus(res.cost)
	k := chargeKey{res.question, res.querier}
	if s.paid[k]--; s.paid[k] == 0 {
		delete(s.paid, k)
	}
	return nil
}
