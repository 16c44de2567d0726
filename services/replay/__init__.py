"""The replay: a recorded home played as the meters that would have stood there."""
