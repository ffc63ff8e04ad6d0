"""Names in Latin letters are those of the official signs and of the address authority."""

import pytest

from mapex.places.romanisation import romanised, romanised_road

OFFICIAL = """
서울특별시 Seoul | 부산광역시 Busan | 대구광역시 Daegu | 세종특별자치시 Sejong | 제주특별자치도 Jeju-do | 강원특별자치도 Gangwon-do
경기도 Gyeonggi-do | 충청북도 Chungcheongbuk-do | 전라북도 Jeollabuk-do | 경상남도 Gyeongsangnam-do
종로구 Jongno-gu | 중구 Jung-gu | 강북구 Gangbuk-gu | 관악구 Gwanak-gu | 광진구 Gwangjin-gu | 구로구 Guro-gu | 영등포구 Yeongdeungpo-gu
용산구 Yongsan-gu | 중랑구 Jungnang-gu | 동대문구 Dongdaemun-gu | 은평구 Eunpyeong-gu | 해운대구 Haeundae-gu | 연수구 Yeonsu-gu
분당구 Bundang-gu | 수원시 Suwon-si | 의왕시 Uiwang-si | 의정부시 Uijeongbu-si | 화성시 Hwaseong-si | 과천시 Gwacheon-si | 여주시 Yeoju-si
강릉시 Gangneung-si | 철원군 Cheorwon-gun | 횡성군 Hoengseong-gun | 인제군 Inje-gun | 괴산군 Goesan-gun | 옥천군 Okcheon-gun
영월군 Yeongwol-gun | 홍천군 Hongcheon-gun | 임실군 Imsil-gun | 곡성군 Gokseong-gun | 울릉군 Ulleung-gun | 칠곡군 Chilgok-gun
밀양시 Miryang-si | 목포시 Mokpo-si | 구미시 Gumi-si | 울주군 Ulju-gun | 합천군 Hapcheon-gun | 담양군 Damyang-gun
백현동 Baekhyeon-dong | 판교동 Pangyo-dong | 삼평동 Sampyeong-dong | 압구정동 Apgujeong-dong | 문래동 Mullae-dong | 북아현동 Bugahyeon-dong
상왕십리동 Sangwangsimni-dong | 신림동 Sillim-dong | 안락동 Allak-dong | 정릉동 Jeongneung-dong | 여의도동 Yeouido-dong | 옥인동 Ogin-dong
망원동 Mangwon-dong | 홍은동 Hongeun-dong | 합정동 Hapjeong-dong | 녹번동 Nokbeon-dong | 광희동 Gwanghui-dong | 학익동 Hagik-dong
빛가람동 Bitgaram-dong | 월영동 Woryeong-dong | 만리동 Malli-dong | 창신동 Changsin-dong | 쌍문동 Ssangmun-dong | 까치산동 Kkachisan-dong
백령면 Baengnyeong-myeon | 속리산면 Songnisan-myeon | 삼죽면 Samjuk-myeon | 대관령면 Daegwallyeong-myeon | 옥룡면 Ongnyong-myeon
압해읍 Aphae-eup | 신창읍 Sinchang-eup | 한림읍 Hallim-eup | 합덕읍 Hapdeok-eup | 묵호읍 Mukho-eup
물금읍 Mulgeum-eup | 별내면 Byeollae-myeon
백운면 Baegun-myeon | 길안면 Giran-myeon | 물야면 Murya-myeon | 북이면 Bugi-myeon | 월곶면 Wolgot-myeon | 인왕리 Inwang-ri | 교리 Gyo-ri
신라 Silla | 한라 Halla | 종로 Jongno | 선릉 Seolleung
낙동강 Nakdonggang | 독립문 Dongnimmun | 설악 Seorak | 세종로 Sejongno | 해돋이 Haedoji | 여의도 Yeouido | 독도 Dokdo
"""
NAMED = [tuple(row.strip().split(" ")) for row in OFFICIAL.replace("\n", "|").split("|") if row.strip()]


@pytest.mark.parametrize(("korean", "latin"), NAMED)
def test_a_place_is_written_as_on_the_official_signs(korean, latin):
    assert romanised(korean) == latin


@pytest.mark.parametrize(
    ("korean", "latin"),
    [
        ("종로1가", "Jongno 1-ga"),
        ("신문로2가", "Sinmunno 2-ga"),
        ("성수동1가", "Seongsu-dong 1-ga"),
        ("창선1리", "Changseon 1-ri"),
        ("성남시 분당구 백현동", "Seongnam-si Bundang-gu Baekhyeon-dong"),
        ("Karlsruhe", "Karlsruhe"),
        ("A동 3층", "A-dong 3cheung"),
        ("", ""),
    ],
)
def test_numbers_and_units_stand_apart_and_other_letters_stay(korean, latin):
    assert romanised(korean) == latin


@pytest.mark.parametrize(
    ("korean", "latin"),
    [
        ("테헤란로", "Teheran-ro"),
        ("세종대로", "Sejong-daero"),
        ("판교역로192번길", "Pangyoyeok-ro 192beon-gil"),
        ("백현로", "Baekhyeon-ro"),
        ("서현역 사거리", "Seohyeonyeok Sageori"),
    ],
)
def test_a_road_has_its_kind_after_a_hyphen(korean, latin):
    assert romanised_road(korean) == latin


def test_every_syllable_of_hangul_has_letters():
    for code in range(0xAC00, 0xD7A4):
        latin = romanised(chr(code))
        assert latin.isascii() and latin.isalpha()
