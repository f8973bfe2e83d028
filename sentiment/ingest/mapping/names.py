"""The names that columns have in files of posts, reviews and comments, best first within each role."""

from __future__ import annotations

import re

ROLES = ("text", "title", "label", "id", "date", "user", "query", "language")

# In tiers: a name of an earlier tier wins over one of a later tier; two of one tier are a question.
_NAMES: dict[str, tuple[str, ...]] = {
    "text": (
        "text tweet_text full_text original_tweet original_text tweet tweets tweet_content content raw_content body review "
        "review_text review_body review_content reviews comment comment_text comment_body comments post "
        "post_text message status_text "
        "status sentence sentences caption sentiment_text document sms feedback posts utterance opinion answer statement "
        "text_original text_display",
        "clean_text cleaned_text clean_tweet cleaned_tweet cleaned text_clean tidy_tweet processed_text "
        "preprocessed_text selected_text "
        "rendered_content selftext self_text description string input data summary_text "
        "processed_tweet stemmed lemmatized kommentar comentario commentaire beitrag texto mensaje",
    ),
    "title": ("title review_title review_headline headline summary review_summary subject_line heading",),
    "label": (
        "label sentiment target polarity airline_sentiment sentiment_label label_text sentiment_class "
        "sentiment_category labels class "
        "category tweet_sentiment annotation gold gold_label golden sentiments label_name text_label "
        "ground_truth ground_label y manual_label "
        "sentiment_type feeling review_sentiment human_label true_label",
        "rating stars star_rating score overall review_rating review_score rate review_stars sentiment_score "
        "ratings rating_value "
        "stars_given is_positive positive number_of_stars sentiment_value emotion bewertung sterne calificacion puntuacion",
    ),
    "id": (
        "tweet_id id_str id ids status_id tweetid post_id review_id comment_id item_id uri message_id msg_id "
        "guid uuid sid doc_id "
        "document_id text_id at_uri record_id object_id sentence_id reviewid permalink_id entry_id",
    ),
    "date": (
        "posted_at created_at tweet_created date datetime date_time timestamp tweet_at created_utc "
        "review_date tweet_date post_date posted "
        "published_at published time created unix_review_time review_time timestamp_ms date_created created_date created_time "
        "date_posted submission_date tweet_time posted_on date_utc reviewed_at submitted_at written_at publish_date "
        "review_created ts",
        "at indexed_at year_month day updated_at datum fecha",
    ),
    "user": (
        "user_screen_name screen_name author_username user_name username user author handle author_name account acct nickname "
        "reviewer_name reviewer user_handle poster tweeter name profile_name author_handle author_display_name from",
        "user_id author_id reviewer_id did account_name customer_id screenname member_id customer customer_name "
        "kunde kundin nutzer benutzer benutzername autor autorin verfasser usuario cliente utilisateur auteur",
    ),
    "query": ("query flag topic search_term keyword entity search_query brand",),
    "language": ("lang language tweet_lang langs language_code locale",),
}


def plain(name: str) -> str:
    """A name without case, separators and punctuation: `Tweet-ID`, `tweetId` and `tweet_id` are one."""
    return re.sub(r"[^0-9a-z\u0080-\uffff]+", "", name.lower())


_RANKS: dict[str, dict[str, tuple[int, int]]] = {role: {} for role in _NAMES}
for _role, _tiers in _NAMES.items():
    for _tier, _names in enumerate(_tiers):
        for _place, _name in enumerate(_names.split()):
            # `text_` is `text`, which came first.
            _RANKS[_role].setdefault(plain(_name), (_tier, _place))
# Read as the part behind the dot: `user.screen_name` is a screen name, `user.id` no id of the post.
_PARENTS_OF_USERS = frozenset({"user", "author", "account", "reviewer"})
# The row numbers that pandas and others write.
INDEX_NAMES = frozenset(
    {"", "unnamed0", "unnamed01", "index", "rownumber", "rowid", "column0", "indexlevel0", "level0"}
)


def rank(name: str, role: str) -> tuple[int, int] | None:
    """Tier and place of a name within a role, smaller is better; None where the role has no such name."""
    parent, _, inner = name.rpartition(".")
    if parent:
        is_of_user = plain(parent.rpartition(".")[2]) in _PARENTS_OF_USERS
        if role == "user":
            found = _RANKS[role].get(plain(inner))
            return found if is_of_user or plain(inner).startswith("author") else None
        if is_of_user or role == "id":
            return None
        name = inner
    return _RANKS[role].get(plain(name))


def is_known(name: str) -> bool:
    """Whether a column of any role has this name."""
    return any(rank(name, role) is not None for role in ROLES)
