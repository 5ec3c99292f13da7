package dp

import (
	"errors"
	"sync"
)

// The time a sampler takes depends on the number it draws, so a clock would say something about the noise. The pool draws
// ahead: a question takes its samples before the exact values are computed. If the stock of that distribution is too small, the pool
// draws what is missing and poolSpare samples more, so what a clock sees is the time to draw a whole batch, of which the question
// uses a part; the next questions of the same accuracy use the spare samples without drawing. Stocks live in memory only: a sample is used
// once and is never in a file or a second process. Do not take memory snapshots of a running gateway.
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

// take removes n samples of the noise from the stock.
func (p *pool) take(noise Noise, n int) ([]int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := noise.key()
	if err := p.fill(key, noise, n); err != nil {
		return nil, err
	}
	stock := p.stock[key]
	cut := len(stock) - n
	out := append([]int64(nil), stock[cut:]...)
	clear(stock[cut:])
	p.stock[key] = stock[:cut]
	return out, nil
}

func (p *pool) fill(key string, noise Noise, n int) error {
	stock, ok := p.stock[key]
	if len(stock) >= n {
		return nil
	}
	if !ok && len(p.stock) >= poolDistributions {
		p.drop()
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

func (p *pool) wipe() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop()
	p.src.wipe()
}

func (p *pool) drop() {
	for _, s := range p.stock {
		clear(s)
	}
	clear(p.stock)
}
