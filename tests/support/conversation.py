"""A person who answers from a list."""

from collections.abc import Mapping

from hems.setting_up.conversation import Conversation, Left, Question


class Scripted(Conversation):
    """Answers by words that stand in the question; an empty answer, the default, to all others. Keeps what was said."""

    def __init__(self, answers: Mapping[str, str | list[str]]) -> None:
        self.said: list[str] = []
        self._answers = {words: [given] if isinstance(given, str) else list(given) for words, given in answers.items()}

    @property
    def text(self) -> str:
        """All that was said, in one."""
        return "\n".join(self.said)

    def say(self, text: str) -> None:
        """Keep it."""
        self.said.append(text)

    def answer(self, question: Question) -> str:
        """The next answer that fits; the person leaves where a question has neither an answer nor a default."""
        self.said.append(question.text)
        given = next((answers.pop(0) for words, answers in self._answers.items() if words in question.text and answers), None)
        if given is None and question.default is None:
            raise Left
        return given or question.default or ""
