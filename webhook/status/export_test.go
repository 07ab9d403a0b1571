package status

var WatchState = watchState
