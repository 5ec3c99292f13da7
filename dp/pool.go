package dp

import (
	"errors"
	"sync"
)

// The time a sampler takes depends on the number it draws, so a clock would say something about the noise. The pool draws
// ahead: before the exact values are computed, it fills the stock of that distribution to what the question needs and poolSpare
// samples more; the answer then takes samples that lie ready. What a clock sees is the time to draw a whole batch, of which the
// question uses a part, and only before anything secret exists; the next questions of the same accuracy use up the spare
// samples without drawing. Stocks live in memory only: a sample is used once and is never in a file or a second process. Do not
// take memory snapshots of a running gateway.
const (
	poolSpare         = 64
	poolDistributions = 32 // stocks kept; above that they are all dropped, which costs time only
)

var errNoiseRange = errors.New("dp: a noise sample does not fit 62 bits")

type pool struct {
	mu    sync.Mutex
	src   *source
	stock map[string][]int64 // by Noise.key
}

func newPool(src *source) *pool { return &pool{src: src, stock: make(map[string][]int64)} }

// fill makes sure that n samples of the noise are in stock, and poolSpare more if it has to draw at all.
func (p *pool) fill(noise Noise, n int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fillLocked(noise, n)
}

func (p *pool) fillLocked(noise Noise, n int) error {
	key := noise.key()
	stock, ok := p.stock[key]
	if len(stock) >= n {
		return nil
	}
	if !ok && len(p.stock) >= poolDistributions {
		p.wipeLocked()
	}
	d := newSampler(noise)
	grown := make([]int64, len(stock), n+poolSpare)
	copy(grown, stock)
	clear(stock)
	for len(grown) < n+poolSpare {
		v, ok := d.draw(p.src)
		if !ok {
			return errNoiseRange
		}
		grown = append(grown, v)
	}
	p.stock[key] = grown
	return nil
}

// take removes n samples. It draws only if another question has used the stock up since fill.
func (p *pool) take(noise Noise, n int) ([]int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.fillLocked(noise, n); err != nil {
		return nil, err
	}
	key := noise.key()
	stock := p.stock[key]
	cut := len(stock) - n
	out := append([]int64(nil), stock[cut:]...)
	clear(stock[cut:])
	p.stock[key] = stock[:cut]
	return out, nil
}

func (p *pool) wipe() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wipeLocked()
	p.src.wipe()
}

func (p *pool) wipeLocked() {
	for _, s := range p.stock {
		clear(s)
	}
	clear(p.stock)
}
