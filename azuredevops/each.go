package azuredevops

import (
	"context"
	"iter"
	"sync"
)

// A stream is a list that has yet to be fetched. An error in it means that a part is
// unknown; the stream goes on with the next part. It ends early when ctx ends.
type stream[T any] func(ctx context.Context) iter.Seq2[T, error]

// each runs work on every parent, up to width at a time, and yields what they
// yield: in the order of the parents, on the caller's goroutine. Errors of the
// parents keep their place. What is ahead of the caller is bounded: every worker
// holds one result until it is taken. When the caller stops, or ctx ends, parents
// and workers are canceled and waited for.
func each[P, C any](width int, parents stream[P], work func(context.Context, P) iter.Seq2[C, error]) stream[C] {
	width = max(1, width)
	return func(ctx context.Context) iter.Seq2[C, error] {
		return func(yield func(C, error) bool) {
			ctx, cancel := context.WithCancel(ctx)
			f := &fan[P, C]{work: work, queue: make(chan chan result[C], width), slots: make(chan struct{}, width)}
			defer f.wg.Wait()
			defer f.drain()
			defer cancel()
			f.wg.Go(func() { f.feed(ctx, parents) })
			for results := range f.queue {
				for r := range results {
					if !yield(r.value, r.err) {
						cancel()
						discard(results)
						<-f.slots
						return
					}
				}
				<-f.slots
			}
		}
	}
}

// one makes a worker of a function with a single result.
func one[P, C any](work func(context.Context, P) (C, error)) func(context.Context, P) iter.Seq2[C, error] {
	return func(ctx context.Context, p P) iter.Seq2[C, error] {
		return func(yield func(C, error) bool) { yield(work(ctx, p)) }
	}
}

type result[C any] struct {
	value C
	err   error
}

// A fan is an each under way: queue holds the workers' channels in the order of
// the parents, slots a token per worker whose results are not all taken.
type fan[P, C any] struct {
	work  func(context.Context, P) iter.Seq2[C, error]
	queue chan chan result[C]
	slots chan struct{}
	wg    sync.WaitGroup
}

// feed starts a worker per parent.
func (f *fan[P, C]) feed(ctx context.Context, parents stream[P]) {
	defer close(f.queue)
	for p, err := range parents(ctx) {
		select {
		case f.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		results := make(chan result[C])
		f.wg.Go(func() { f.run(ctx, p, err, results) })
		f.queue <- results // has room: a channel in it has a slot
	}
}

// run sends what a parent yields.
func (f *fan[P, C]) run(ctx context.Context, p P, err error, results chan<- result[C]) {
	defer close(results)
	if err != nil {
		var zero C
		hand(ctx, results, result[C]{zero, err})
		return
	}
	for v, err := range f.work(ctx, p) {
		if !hand(ctx, results, result[C]{v, err}) {
			return
		}
	}
}

// hand gives up when nobody takes the result any more.
func hand[C any](ctx context.Context, results chan<- result[C], r result[C]) bool {
	select {
	case results <- r:
		return true
	case <-ctx.Done():
		return false
	}
}

// drain takes what is left after a cancellation.
func (f *fan[P, C]) drain() {
	for results := range f.queue {
		discard(results)
		<-f.slots
	}
}

func discard[C any](results <-chan result[C]) {
	for range results {
	}
}

// ahead starts fetching something. Call the result, always, to wait for it.
func ahead[T any](ctx context.Context, fetch func(context.Context) (T, error)) (wait func() result[T]) {
	ch := make(chan result[T], 1)
	go func() {
		v, err := fetch(ctx)
		ch <- result[T]{v, err}
	}()
	return func() result[T] { return <-ch }
}
